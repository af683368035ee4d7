using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.Auth;

/// <summary>Who makes the request. A handler parameter of this type receives it.</summary>
/// <param name="CredentialId">The API key or session: what is rate limited and what idempotency keys belong to.</param>
/// <param name="UserId">The signed-in user; null for an API key.</param>
/// <param name="Plan">Name of the organization's plan.</param>
/// <param name="ProjectIds">Projects the credential is restricted to; null: all of the organization.</param>
internal sealed record Caller(string CredentialId, string OrgId, string? UserId, string Plan, string[] Scopes, string[]? ProjectIds)
{
    /// <summary>What the caller may see, for the stores' queries.</summary>
    public Ownership Ownership { get; } = new(OrgId, ProjectIds);

    public bool Has(string scope) => Array.IndexOf(Scopes, scope) >= 0;

    /// <exception cref="ApiException">403 <c>forbidden</c>: the scope is missing.</exception>
    public void Demand(string scope)
    {
        if (!Has(scope))
        {
            throw new ApiException(
                ErrorCodes.Forbidden, $"The credential lacks the scope '{scope}'.", new JsonObject { ["requiredScope"] = scope });
        }
    }

    /// <summary>Binds handler parameters.</summary>
    public static ValueTask<Caller> BindAsync(HttpContext context) => ValueTask.FromResult(context.GetCaller());
}

internal static class CallerExtensions
{
    /// <summary>The authenticated caller.</summary>
    /// <exception cref="InvalidOperationException">The endpoint is outside the <c>/v1</c> group: a mistake of ours.</exception>
    public static Caller GetCaller(this HttpContext context) =>
        context.Features.Get<Caller>() ?? throw new InvalidOperationException("The endpoint is not authenticated.");
}
