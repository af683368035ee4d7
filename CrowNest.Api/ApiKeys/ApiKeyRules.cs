using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.ApiKeys;

/// <summary>What a new key is to be.</summary>
/// <param name="Scopes">Without repetition, in the contract's order.</param>
/// <param name="ProjectIds">null: all projects.</param>
internal sealed record NewApiKey(string Name, string[] Scopes, string[]? ProjectIds);

internal static class ApiKeyRules
{
    private const int MaxNameLength = 100;
    private const int MaxProjects = 100;

    /// <exception cref="ApiException">400 <c>invalid_request</c> with <c>details.field</c>; 404 for what can be no project.</exception>
    public static NewApiKey Check(CreateApiKeyRequest request)
    {
        var name = request.Name?.Trim() ?? "";
        if (name.Length is 0 or > MaxNameLength)
        {
            throw ApiException.InvalidField("name", $"'name' must have 1 to {MaxNameLength} characters.");
        }

        if (request.Scopes is not { Count: > 0 } scopes)
        {
            throw ApiException.InvalidField("scopes", "'scopes' must have at least one scope.");
        }

        if (scopes.Except(Scopes.All).ToArray() is [var unknown, ..])
        {
            throw ApiException.InvalidField("scopes", $"'{unknown}' is not a scope.");
        }

        if (request.ProjectIds is { } projects)
        {
            if (projects.Count is 0 or > MaxProjects)
            {
                throw ApiException.InvalidField("projectIds", $"'projectIds' must have 1 to {MaxProjects} projects, or be left out.");
            }

            if (!projects.All(p => Ids.IsValid(p, Ids.Project)))
            {
                throw ApiException.NotFound("Project");
            }
        }

        return new NewApiKey(name, [.. Scopes.All.Where(s => scopes.Contains(s))], request.ProjectIds?.Select(p => p!).Distinct().ToArray());
    }
}
