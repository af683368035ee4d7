using CrowNest.Api.Auth.Links;
using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Auth;

/// <summary>
/// Finds the caller of every <c>/v1</c> request: a bearer (API key or session), or on routes that
/// allow it a signed link or the headers of a person. Runs right after
/// routing; the organization's state and the scope come after the rate limit (docs/reference/api.md 2.6, check order).
/// </summary>
internal sealed class Authentication(
    RequestDelegate next, CredentialStore credentials, SignedUrls signedUrls, HumanSessions humanSessions)
{
    private const string Scheme = "Bearer ";
    private const string ApiKeyHeader = "x-api-key";

    public async Task InvokeAsync(HttpContext context)
    {
        var endpoint = context.GetEndpoint();
        if (endpoint?.Metadata.GetMetadata<CallerRequired>() is not null)
        {
            var credential = await FindAsync(context, endpoint);
            context.Features.Set(credential);
            context.Features.Set(credential.Caller);
        }

        await next(context);
    }

    /// <summary>The bearer of a request; null when it has none.</summary>
    public static string? Bearer(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        if (header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && header[Scheme.Length..].Trim() is { Length: > 0 } token)
        {
            return token;
        }

        // An alias that a page of the original shows; no client sends it.
        return header.Length == 0 && request.Headers[ApiKeyHeader].ToString() is { Length: > 0 } key ? key : null;
    }

    private async Task<Credential> FindAsync(HttpContext context, Endpoint endpoint)
    {
        var cancellationToken = context.RequestAborted;
        var bearer = Bearer(context.Request);
        if (bearer is not null && await credentials.FindBySecretAsync(bearer, cancellationToken) is { } byBearer)
        {
            return byBearer;
        }

        if (endpoint.Metadata.GetMetadata<SignedUrlAllowed>() is not null && SignedUrls.IsSigned(context.Request))
        {
            return await FindByLinkAsync(context.Request, endpoint, cancellationToken)
                ?? throw new ApiException(ErrorCodes.Forbidden, "The link has expired or was changed.");
        }

        if (bearer is null && endpoint.Metadata.GetMetadata<HumanSessionHeadersAllowed>() is not null
            && await humanSessions.FindAsync(context, cancellationToken) is { } person)
        {
            return person;
        }

        throw bearer is null
            ? new ApiException(ErrorCodes.Unauthorized, "Send an API key as 'Authorization: Bearer <key>'.")
            : new ApiException(ErrorCodes.InvalidApiKey, "The API key is unknown or was revoked.");
    }

    private async Task<Credential?> FindByLinkAsync(HttpRequest request, Endpoint endpoint, CancellationToken cancellationToken) =>
        await signedUrls.VerifyAsync(request, cancellationToken) switch
        {
            { CredentialId: { } credentialId } => await credentials.FindByIdAsync(credentialId, cancellationToken),
            { OrgId: { } orgId } => await credentials.FindLinkAsync(orgId, ScopesOf(endpoint), cancellationToken),
            _ => null,
        };

    /// <summary>A link that is nobody's credential can do the one thing that it was made for.</summary>
    private static string[] ScopesOf(Endpoint endpoint) =>
    [
        .. endpoint.Metadata.GetOrderedMetadata<ScopeRequirement>().Select(s => s.Scope).OfType<string>(),
        .. endpoint.Metadata.GetOrderedMetadata<AdditionalScope>().Select(s => s.Scope),
    ];
}

/// <summary>Organization state, then scope (docs/reference/api.md 2.6, check order).</summary>
internal sealed class Authorization(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context)
    {
        if (context.Features.Get<Credential>() is { } credential)
        {
            if (credential.OrgSuspended)
            {
                throw new ApiException(ErrorCodes.OrgSuspended, "The organization is suspended.");
            }

            // A route of the group without a requirement is a mistake of ours that must not open it.
            var requirement = context.GetEndpoint()!.Metadata.GetRequiredMetadata<ScopeRequirement>();
            if (requirement.Scope is { } scope)
            {
                credential.Caller.Demand(scope);
            }

            foreach (var further in context.GetEndpoint()!.Metadata.GetOrderedMetadata<AdditionalScope>())
            {
                credential.Caller.Demand(further.Scope);
            }

            QueryText.Check(context.Request);
        }

        return next(context);
    }
}
