using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CrowNest.Api.ApiKeys;

/// <summary>API keys (docs/reference/api.md 13). Only people make them; a key that may, can list and revoke them.</summary>
internal static class ApiKeyEndpoints
{
    private const string Tag = "API Keys";

    public static IServiceCollection AddApiKeys(this IServiceCollection services) => services.AddSingleton<ApiKeyStore>();

    public static void MapApiKeys(this RouteGroupBuilder v1)
    {
        v1.MapGet("/api-keys", ListAsync).RequireScope(Scopes.ApiKeyRead).AllowHumanSessionHeaders()
            .WithOperation("listApiKeys", Tag, "List API keys", o => o with { Response = typeof(Page<ApiKey>), Paged = true });
        v1.MapPost("/api-keys", CreateAsync).AnyScope().AllowHumanSessionHeaders()
            .WithOperation("createApiKey", Tag, "Make an API key",
                o => o with { Body = typeof(CreateApiKeyRequest), Response = typeof(CreatedApiKey), Status = 201, Published = false });
        v1.MapGet("/api-keys/{apiKeyId}", GetAsync).RequireScope(Scopes.ApiKeyRead)
            .WithOperation("getApiKey", Tag, "Get an API key", o => o with { Response = typeof(ApiKeyEnvelope) });
        v1.MapDelete("/api-keys/{apiKeyId}", RevokeAsync).RequireScope(Scopes.ApiKeyRevoke)
            .WithOperation("revokeApiKey", Tag, "Revoke an API key", o => o with { Response = typeof(ApiKeyEnvelope) });
    }

    private static async Task<Page<ApiKey>> ListAsync(
        Caller caller, HttpRequest request, ApiKeyStore keys, CancellationToken cancellationToken)
    {
        var page = Paging.Read(request);
        var rows = await keys.ListAsync(caller.Ownership, page.After, page.Fetch, cancellationToken);
        return Paging.Build(page, rows, k => new(k.CreatedAt, k.Id), k => k);
    }

    private static async Task<Created<CreatedApiKey>> CreateAsync(
        Caller caller, HttpContext context, ApiKeyStore keys, CancellationToken cancellationToken)
    {
        if (caller.UserId is not { } userId)
        {
            throw new ApiException(ErrorCodes.Forbidden, "API keys are made by people: sign in, for example in the dashboard.");
        }

        var request = await RequestBody.ReadAsync<CreateApiKeyRequest>(context, cancellationToken);
        var wanted = ApiKeyRules.Check(request);
        var created = await keys.CreateAsync(caller.OrgId, userId, wanted, cancellationToken) ?? throw ApiException.NotFound("Project");
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created((string?)null, created);
    }

    private static async Task<ApiKeyEnvelope> GetAsync(
        string apiKeyId, Caller caller, ApiKeyStore keys, CancellationToken cancellationToken) =>
        new(await keys.FindAsync(caller.Ownership, apiKeyId, cancellationToken) ?? throw ApiException.NotFound("API key"));

    private static async Task<ApiKeyEnvelope> RevokeAsync(
        string apiKeyId, Caller caller, ApiKeyStore keys, CancellationToken cancellationToken) =>
        new(await keys.RevokeAsync(caller.Ownership, apiKeyId, cancellationToken) ?? throw ApiException.NotFound("API key"));
}
