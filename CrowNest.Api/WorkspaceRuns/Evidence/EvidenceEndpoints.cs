using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.SignIn;
using CrowNest.Contracts;

namespace CrowNest.Api.WorkspaceRuns.Evidence;

/// <summary>Evidence of workspace runs (docs/reference/api.md 10.9), and the keys by which it is believed.</summary>
internal static partial class EvidenceEndpoints
{
    /// <summary>How long a copy of the keys is good: a verifier that meets a new key asks again.</summary>
    private const string KeysCacheControl = "public, max-age=300";

    private sealed record RotateRequest(bool? Revoke = null);

    private sealed record Rotated(string KeyId, bool Revoked);

    public static IServiceCollection AddEvidence(this IServiceCollection services)
    {
        services.AddSingleton<EvidenceKeys>();
        services.AddSingleton<EvidenceSignature>();
        services.AddSingleton<EvidenceReader>();
        return services;
    }

    public static void MapEvidence(this RouteGroupBuilder v1) =>
        v1.MapGet("/workspace-runs/{workspaceRunId}/evidence", GetAsync).RequireScope(Scopes.WorkspaceRunRead)
            .WithOperation("getWorkspaceRunEvidence", "Workspace Runs", "Get a run's evidence", o => o with
            {
                Response = typeof(WorkspaceRunEvidenceResponse),
                OtherContentType = EvidenceSignature.ContentType,
                Query = [new("format", "string", "`json` (default), or `jws`: signed, verifiable with `/.well-known/jwks.json`")],
                Errors = [ErrorCodes.Conflict, ErrorCodes.DownloadExportFailed],
            });

    public static void MapEvidenceKeys(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/.well-known/jwks.json", ListKeysAsync)
            .WithOperation("getJwks", "Auth", "Public keys of what this deployment signs",
                o => o with { Response = typeof(JsonWebKeySet) });
        endpoints.MapGroup("/internal").LoopbackOnly().ExcludeFromDescription()
            .MapPost("/evidence-keys/rotate", RotateAsync).RequireDeploymentSecret();
    }

    private static async Task<IResult> GetAsync(
        string workspaceRunId, Caller caller, HttpRequest request, EvidenceReader reader, EvidenceSignature signature,
        CancellationToken cancellationToken)
    {
        switch (Paging.Single(request, "format"))
        {
            case null or "json":
                return TypedResults.Json(
                    new EvidenceAnswer(await reader.ReadAsync(caller.Ownership, workspaceRunId, cancellationToken)), CrowNestJson.Options);
            case "jws":
                var evidence = await reader.ReadAsync(caller.Ownership, workspaceRunId, cancellationToken);
                var signed = await signature.SignAsync(EvidenceReader.ToCanonicalBytes(evidence), cancellationToken);
                return TypedResults.Text(signed, EvidenceSignature.ContentType);
            default:
                _ = await reader.FindAsync(caller.Ownership, workspaceRunId, cancellationToken);
                throw ApiException.InvalidField("format", "'format' must be json or jws.");
        }
    }

    private static async Task<IResult> ListKeysAsync(HttpResponse response, EvidenceKeys keys, CancellationToken cancellationToken)
    {
        var listed = await keys.ListAsync(cancellationToken);
        response.Headers.CacheControl = KeysCacheControl;
        return TypedResults.Json(new JsonWebKeySet([.. listed.Select(EvidenceKey.ToJsonWebKey)]), CrowNestJson.Options);
    }

    private static async Task<Rotated> RotateAsync(
        HttpContext context, EvidenceKeys keys, ILogger<EvidenceKeys> logger, CancellationToken cancellationToken)
    {
        var request = await RequestBody.ReadAsync<RotateRequest>(context, cancellationToken, optional: true);
        var revoke = request.Revoke ?? false;
        var id = await keys.RotateAsync(revoke, cancellationToken);
        LogRotated(logger, id, revoke);
        return new Rotated(id, revoke);
    }

    [LoggerMessage(2560, LogLevel.Warning, "By command, evidence is signed with {KeyId} from now on; earlier keys revoked: {Revoked}.")]
    private static partial void LogRotated(ILogger logger, string keyId, bool revoked);
}
