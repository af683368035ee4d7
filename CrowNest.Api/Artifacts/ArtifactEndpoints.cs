using CrowNest.Api.AgentSessions;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Maintenance;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.Artifacts;

/// <summary>Artifacts (docs/reference/api.md 7, docs/reference/stateset.md 3.1 to 3.4).</summary>
internal static class ArtifactEndpoints
{
    public const string Tag = "Artifacts";

    /// <summary>Of every export.</summary>
    public static readonly string[] ExportErrors =
    [
        ErrorCodes.FileNotFound, ErrorCodes.PathIsDirectory, ErrorCodes.PathOutsideWorkspace, ErrorCodes.FileTooLarge,
        ErrorCodes.InvalidMetadataKey, ErrorCodes.InvalidMetadataValue, ErrorCodes.MetadataTooLarge, ErrorCodes.MetadataTooManyKeys,
        ErrorCodes.SandboxDestroyed, ErrorCodes.Conflict, ErrorCodes.QuotaExceeded, ErrorCodes.RuntimeError, ErrorCodes.DownloadExportFailed,
    ];

    public static IServiceCollection AddArtifacts(this IServiceCollection services)
    {
        services.AddOptions<ArtifactOptions>().BindConfiguration(ArtifactOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<ArtifactCreation>();
        services.AddSingleton<ArtifactDownload>();
        services.AddSingleton<ExpiredArtifactSweeper>();
        services.AddHostedService(s => s.GetRequiredService<ExpiredArtifactSweeper>());
        return services;
    }

    public static void MapArtifacts(this RouteGroupBuilder v1)
    {
        v1.MapPost("/sandboxes/{sandboxId}/artifacts", CreateAsync).RequireScope(Scopes.ArtifactCreate).AlsoRequireScope(Scopes.FileRead)
            .HonoursIdempotencyKey().WithOperation("createArtifact", Tag, "Keep a copy of a file", o => o with
            {
                Body = typeof(CreateArtifactRequest),
                Response = typeof(ArtifactResponse),
                Status = StatusCodes.Status201Created,
                Errors = ExportErrors,
            });
        v1.MapGet("/sandboxes/{sandboxId}/artifacts", ArtifactListing.OfSandboxAsync).RequireScope(Scopes.ArtifactRead)
            .WithOperation("listArtifacts", Tag, "List a sandbox's artifacts, newest first",
                o => o with { Response = typeof(Page<Artifact>), Paged = true });
        v1.MapGet("/artifacts", ArtifactListing.OfOrganizationAsync).RequireScope(Scopes.ArtifactRead)
            .WithOperation("listOrganizationArtifacts", Tag, "List the organization's artifacts, newest first", o => o with
            {
                Response = typeof(Page<Artifact>),
                Paged = true,
                Query =
                [
                    new("sandboxId", "string", "Only those of this sandbox, which may be destroyed"),
                    new("projectId", "string", "Only those of this project"),
                    new("sessionId", "string", "Only those of this agent session"),
                    new("remotePath", "string", "Only those with exactly this remote path"),
                    new("remotePathPrefix", "string", "Only those whose remote path begins so"),
                    new("metadata.<key>", "string", "Only those with this metadata; several combine with AND"),
                ],
            });
        v1.MapGet("/artifacts/{artifactId}", GetAsync).RequireScope(Scopes.ArtifactRead)
            .WithOperation("getArtifact", Tag, "Get an artifact", o => o with { Response = typeof(ArtifactResponse) });
        v1.MapPost("/artifacts/{artifactId}/download-url", CreateDownloadUrlAsync).RequireScope(Scopes.ArtifactRead)
            .WithOperation("createArtifactDownloadUrl", Tag, "Make a link to an artifact's bytes", o => o with
            {
                Body = typeof(CreateArtifactDownloadUrlRequest),
                BodyOptional = true,
                Response = typeof(DownloadUrl),
            });
        v1.MapGet("/artifacts/{artifactId}/download", DownloadAsync).RequireScope(Scopes.ArtifactRead).AllowSignedUrl()
            .WithOperation("downloadArtifact", Tag, "Download an artifact, or with `Range` a part of it",
                o => o with { ContentType = "application/octet-stream", Errors = [ErrorCodes.DownloadExportFailed] });
        v1.MapDelete("/artifacts/{artifactId}", DeleteAsync).RequireScope(Scopes.ArtifactDelete)
            .WithOperation("deleteArtifact", Tag, "Delete an artifact and its bytes", o => o with { Response = typeof(ArtifactResponse) });
        v1.MapPost("/sandboxes/{sandboxId}/files/from-artifact", ArtifactImport.ImportAsync).RequireScope(Scopes.FileWrite)
            .AlsoRequireScope(Scopes.ArtifactRead).HonoursIdempotencyKey()
            .WithOperation("importArtifact", "Files", "Write an artifact into a sandbox", o => o with
            {
                Body = typeof(ImportArtifactRequest),
                Response = typeof(ImportedArtifact),
                Errors =
                [
                    ErrorCodes.PathOutsideWorkspace, ErrorCodes.PathIsDirectory, ErrorCodes.PathNotDirectory,
                    ErrorCodes.ParentDirectoryNotFound, ErrorCodes.FileAlreadyExists, ErrorCodes.SandboxDestroyed, ErrorCodes.Conflict,
                    ErrorCodes.QuotaExceeded, ErrorCodes.RuntimeError, ErrorCodes.DownloadExportFailed,
                ],
            });
    }

    private static async Task<IResult> CreateAsync(
        string sandboxId, Caller caller, HttpContext context, ArtifactCreation creation, SandboxStore sandboxes, AgentSessionStore sessions,
        CancellationToken cancellationToken)
    {
        _ = await sandboxes.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox");
        var wanted = ArtifactRules.Check(await RequestBody.ReadAsync<CreateArtifactRequest>(context, cancellationToken));
        return await AnswerAsync(caller, wanted, context, creation, ChooseSandboxAsync, cancellationToken);

        async Task<string> ChooseSandboxAsync()
        {
            if (wanted.SessionId is { } sessionId)
            {
                await sessions.DemandActiveAsync(caller, sessionId, cancellationToken);
            }

            return sandboxId;
        }
    }

    /// <summary>Exports a file, or answers with what an earlier attempt under the same idempotency key has exported.</summary>
    /// <param name="chooseSandboxAsync">Called only for a new export: what has been exported stays so, whatever ended since.</param>
    public static async Task<IResult> AnswerAsync(
        Caller caller, CheckedArtifact wanted, HttpContext context, ArtifactCreation creation, Func<Task<string>> chooseSandboxAsync,
        CancellationToken cancellationToken)
    {
        var row = context.GetIdempotentResourceId() is { } earlier ? await creation.ResumeAsync(earlier, cancellationToken) : null;
        row ??= await creation.CreateAsync(
            caller, await chooseSandboxAsync(), wanted, context.GetIdempotencyId(), cancellationToken);
        return TypedResults.Json(new ArtifactResponse(row.ToArtifact()), CrowNestJson.Options, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<ArtifactResponse> GetAsync(
        string artifactId, Caller caller, ArtifactStore store, TimeProvider time, CancellationToken cancellationToken) =>
        new((await store.FindAsync(caller.Ownership, artifactId, time.GetUtcNow(), cancellationToken)
            ?? throw ApiException.NotFound("Artifact")).ToArtifact());

    private static Task<DownloadUrl> CreateDownloadUrlAsync(
        string artifactId, Caller caller, HttpContext context, ArtifactDownload download, CancellationToken cancellationToken) =>
        download.CreateUrlAsync(
            artifactId, caller,
            () => RequestBody.ReadAsync<CreateArtifactDownloadUrlRequest>(context, cancellationToken, optional: true), cancellationToken);

    private static Task DownloadAsync(string artifactId, Caller caller, HttpContext context, ArtifactDownload download) =>
        download.SendAsync(artifactId, caller, context);

    private static async Task<ArtifactResponse> DeleteAsync(
        string artifactId, Caller caller, ArtifactStore store, ExpiredArtifactSweeper removal, TimeProvider time, CancellationToken cancellationToken)
    {
        var row = await store.DeleteAsync(caller.Ownership, artifactId, time.GetUtcNow(), cancellationToken)
            ?? throw ApiException.NotFound("Artifact");
        // The tombstone stands; bytes that storage does not give up now go with a later round.
        await removal.RemoveAsync(row.Id, row.ObjectKey, CancellationToken.None);
        return new ArtifactResponse(row.ToArtifact());
    }
}
