using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using Npgsql;

namespace CrowNest.Api.Projects;

/// <summary>Which project a request is about (docs/reference/api.md 2.3, 4.3).</summary>
internal sealed class ProjectAccess(NpgsqlDataSource database)
{
    /// <summary>The default project of an organization never changes.</summary>
    private readonly ConcurrentDictionary<string, string> _defaults = new();

    /// <summary>The project that a body or query names, or the organization's default when it names none.</summary>
    /// <exception cref="ApiException">404: not of the caller's organization; 403: of it, but the credential may not use it.</exception>
    public async ValueTask<string> ResolveAsync(Caller caller, string? projectId, CancellationToken cancellationToken)
    {
        if (projectId is not null && !await ExistsAsync(caller.OrgId, projectId, cancellationToken))
        {
            throw ApiException.NotFound("Project");
        }

        var resolved = projectId ?? await DefaultOfAsync(caller.OrgId, cancellationToken);
        return caller.ProjectIds is null || caller.ProjectIds.Contains(resolved)
            ? resolved
            : throw new ApiException(
                ErrorCodes.Forbidden, "The API key may not use this project.", new JsonObject { ["projectId"] = resolved });
    }

    private async Task<bool> ExistsAsync(string orgId, string projectId, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(projectId, Ids.Project))
        {
            return false;
        }

        await using var sql = database.CreateCommand("SELECT EXISTS (SELECT FROM projects WHERE id = @id AND org_id = @org)");
        sql.Parameters.AddWithValue("id", projectId);
        sql.Parameters.AddWithValue("org", orgId);
        return (bool)(await sql.ExecuteScalarAsync(cancellationToken))!;
    }

    private async ValueTask<string> DefaultOfAsync(string orgId, CancellationToken cancellationToken)
    {
        if (_defaults.TryGetValue(orgId, out var known))
        {
            return known;
        }

        await using var sql = database.CreateCommand("SELECT id FROM projects WHERE org_id = @org AND is_default");
        sql.Parameters.AddWithValue("org", orgId);
        var id = (string?)await sql.ExecuteScalarAsync(cancellationToken)
            ?? throw new InvalidOperationException($"Organization {orgId} has no default project.");
        return _defaults.GetOrAdd(orgId, id);
    }
}
