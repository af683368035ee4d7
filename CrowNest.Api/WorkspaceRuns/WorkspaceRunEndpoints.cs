using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Maintenance;
using CrowNest.Api.Projects;
using CrowNest.Api.WorkspaceRuns.Archives;
using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>Workspace runs (docs/reference/api.md 10).</summary>
internal static class WorkspaceRunEndpoints
{
    private const string Tag = "Workspace Runs";

    private static readonly string[] UploadErrors =
    [
        ErrorCodes.UploadSizeMismatch, ErrorCodes.UploadChecksumMismatch, ErrorCodes.UploadConflict, ErrorCodes.FileTooLarge,
        ErrorCodes.RuntimeError,
    ];

    private static readonly string[] StagedErrors = [.. UploadErrors, ErrorCodes.UploadNotFound, ErrorCodes.UploadExpired];

    public static IServiceCollection AddWorkspaceRuns(this IServiceCollection services)
    {
        services.AddOptions<WorkspaceRunOptions>().BindConfiguration(WorkspaceRunOptions.Section)
            .ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<RunSignals>();
        services.AddSingleton<RunCreation>();
        services.AddSingleton<RunControl>();
        services.AddSingleton<AbandonedRunCompletion>();
        services.AddSingleton<RunEvents>();
        services.AddSingleton<ArchiveUpload>();
        services.AddSingleton<ArchiveStaging>();
        services.AddHostedService<AbandonedRunSweeper>();
        return services;
    }

    public static void MapWorkspaceRuns(this RouteGroupBuilder v1)
    {
        v1.MapPost("/workspace-runs", CreateAsync).RequireScope(Scopes.WorkspaceRunCreate).HonoursIdempotencyKey()
            .WithOperation("createWorkspaceRun", Tag, "Create a run", o => o with
            {
                Body = typeof(CreateWorkspaceRunRequest),
                Response = typeof(WorkspaceRunResponse),
                Status = StatusCodes.Status201Created,
                Errors =
                [
                    ErrorCodes.InvalidMetadataKey, ErrorCodes.InvalidMetadataValue, ErrorCodes.MetadataTooLarge,
                    ErrorCodes.MetadataTooManyKeys, ErrorCodes.PathOutsideWorkspace, ErrorCodes.SandboxDestroyed, ErrorCodes.RuntimeError,
                ],
            });
        v1.MapGet("/workspace-runs", ListAsync).RequireScope(Scopes.WorkspaceRunRead)
            .WithOperation("listWorkspaceRuns", Tag, "List runs, newest first", o => o with
            {
                Response = typeof(Page<WorkspaceRun>),
                Paged = true,
                Query =
                [
                    new("status", "string", "Only those with this status"),
                    new("projectId", "string", "Only those of this project"),
                    new("metadata.<key>", "string", "Only those with this metadata; several combine with AND"),
                ],
            });
        var run = v1.MapGroup("/workspace-runs/{workspaceRunId}");
        v1.MapGet("/workspace-runs/{workspaceRunId}", GetAsync).RequireScope(Scopes.WorkspaceRunRead)
            .WithOperation("getWorkspaceRun", Tag, "Get a run", o => o with { Response = typeof(WorkspaceRunResponse) });
        run.MapPost("/start", StartAsync).RequireScope(Scopes.WorkspaceRunCreate).HonoursIdempotencyKey()
            .WithOperation("startWorkspaceRun", Tag, "Start a run", o => o with
            {
                Response = typeof(WorkspaceRunResponse),
                Errors = [ErrorCodes.UploadIncomplete, ErrorCodes.Conflict],
            });
        run.MapPost("/cancel", CancelAsync).RequireScope(Scopes.WorkspaceRunCancel).HonoursIdempotencyKey()
            .WithOperation("cancelWorkspaceRun", Tag, "Cancel a run", o => o with { Response = typeof(WorkspaceRunResponse) });
        run.MapGet("/events", EventsAsync).RequireScope(Scopes.WorkspaceRunRead).ExemptFromRateLimit()
            .WithOperation("listWorkspaceRunEvents", Tag, "Read a run's events, or follow them", o => o with
            {
                Response = typeof(SeqPage<WorkspaceRunEvent>),
                OtherContentType = "text/event-stream",
                Query =
                [
                    new("afterSeq", "integer", "Only events after this sequence number"),
                    new("limit", "integer", "1 to 500, default 100; no meaning for a stream"),
                    new("stream", "boolean", "`true`: server-sent events until the run's end"),
                ],
            });
        MapArchive(run);
    }

    private static void MapArchive(RouteGroupBuilder run)
    {
        run.MapPut("/archive", UploadAsync).RequireScope(Scopes.WorkspaceRunCreate)
            .HonoursIdempotencyKeyByHeaders(ArchiveRules.Sha256Header, ArchiveRules.SizeHeader)
            .WithOperation("uploadWorkspaceRunArchive", Tag, "Upload a small archive", o => o with
            {
                BodyContentType = ArchiveRules.ContentType,
                Headers =
                [
                    new(ArchiveRules.Sha256Header, "string", "SHA-256 of the body, 64 hex digits", Required: true),
                    new(ArchiveRules.SizeHeader, "integer", "Bytes of the body", Required: true),
                ],
                Response = typeof(WorkspaceRunArchiveResponse),
                Errors = UploadErrors,
            });
        run.MapPost("/archive-transfer", CreateTransferAsync).RequireScope(Scopes.WorkspaceRunCreate).HonoursIdempotencyKey()
            .WithOperation("createWorkspaceRunArchiveTransfer", Tag, "Announce an archive of any size", o => o with
            {
                Body = typeof(ArchiveTransferRequest),
                Response = typeof(ArchiveTransferResponse),
                Status = StatusCodes.Status201Created,
                Errors = [ErrorCodes.UploadConflict, ErrorCodes.FileTooLarge],
            });
        run.MapPut("/archive-transfer/{uploadId}", UploadTransferAsync).RequireScope(Scopes.WorkspaceRunCreate)
            .WithOperation("uploadWorkspaceRunArchiveTransfer", Tag, "Upload an announced archive", o => o with
            {
                BodyContentType = ArchiveRules.ContentType,
                Status = StatusCodes.Status204NoContent,
                Errors = StagedErrors,
            });
        run.MapPost("/archive/finalize", FinalizeAsync).RequireScope(Scopes.WorkspaceRunCreate).HonoursIdempotencyKey()
            .WithOperation("finalizeWorkspaceRunArchive", Tag, "Take an uploaded archive", o => o with
            {
                Body = typeof(ArchiveTransferRequest),
                Response = typeof(WorkspaceRunArchiveResponse),
                Errors = [.. StagedErrors, ErrorCodes.UploadIncomplete],
            });
    }

    private static async Task<IResult> CreateAsync(
        Caller caller, HttpContext context, RunCreation creation, WorkspaceRunStore store, CancellationToken cancellationToken)
    {
        var row = context.GetIdempotentResourceId() is { } earlier
            ? await FindAsync(store, caller, earlier, cancellationToken)
            : await creation.CreateAsync(
                caller, await RequestBody.ReadAsync<CreateWorkspaceRunRequest>(context, cancellationToken), context.GetIdempotencyId(),
                cancellationToken);
        return Created(new WorkspaceRunResponse(row.ToWorkspaceRun()));
    }

    private static async Task<Page<WorkspaceRun>> ListAsync(
        Caller caller, HttpRequest request, WorkspaceRunStore store, ProjectAccess projects, CancellationToken cancellationToken)
    {
        var page = Paging.Read(request);
        var filter = new WorkspaceRunFilter
        {
            Status = Paging.Single(request, "status") is not { } status || WorkspaceRunStatus.All.Contains(status)
                ? Paging.Single(request, "status")
                : throw ApiException.InvalidField("status", $"status must be one of {string.Join(", ", WorkspaceRunStatus.All)}."),
            ProjectId = Paging.Single(request, "projectId") is { } projectId
                ? await projects.ResolveAsync(caller, projectId, cancellationToken)
                : null,
            Metadata = Metadata.ReadFilters(request),
            After = page.After,
            Limit = page.Fetch,
        };
        var rows = await store.ListAsync(caller.Ownership, filter, cancellationToken);
        return Paging.Build(page, rows, r => new ListPosition(r.CreatedAt, r.Id), r => r.ToWorkspaceRun());
    }

    private static async Task<WorkspaceRunResponse> GetAsync(
        string workspaceRunId, Caller caller, WorkspaceRunStore store, CancellationToken cancellationToken) =>
        new((await FindAsync(store, caller, workspaceRunId, cancellationToken)).ToWorkspaceRun());

    private static async Task<WorkspaceRunResponse> StartAsync(
        string workspaceRunId, Caller caller, RunControl control, CancellationToken cancellationToken) =>
        new((await control.StartAsync(caller.Ownership, workspaceRunId, cancellationToken)).ToWorkspaceRun());

    private static async Task<WorkspaceRunResponse> CancelAsync(
        string workspaceRunId, Caller caller, RunControl control, CancellationToken cancellationToken) =>
        new((await control.CancelAsync(caller.Ownership, workspaceRunId, cancellationToken)).ToWorkspaceRun());

    private static Task<IResult> EventsAsync(string workspaceRunId, Caller caller, HttpContext context, RunEvents events) =>
        events.ReadAsync(workspaceRunId, caller, context);

    private static async Task<WorkspaceRunArchiveResponse> UploadAsync(
        string workspaceRunId, Caller caller, HttpContext context, WorkspaceRunStore store, ArchiveUpload upload,
        CancellationToken cancellationToken) =>
        Uploaded(await upload.UploadAsync(await FindAsync(store, caller, workspaceRunId, cancellationToken), context));

    private static async Task<IResult> CreateTransferAsync(
        string workspaceRunId, Caller caller, HttpContext context, WorkspaceRunStore store, ArchiveStaging staging,
        CancellationToken cancellationToken)
    {
        var run = await FindAsync(store, caller, workspaceRunId, cancellationToken);
        var body = await RequestBody.ReadAsync<ArchiveTransferRequest>(context, cancellationToken);
        return Created(new ArchiveTransferResponse(await staging.CreateAsync(run, body, cancellationToken)));
    }

    private static async Task<IResult> UploadTransferAsync(
        string workspaceRunId, string uploadId, Caller caller, HttpContext context, WorkspaceRunStore store, ArchiveStaging staging,
        CancellationToken cancellationToken)
    {
        await staging.UploadAsync(await FindAsync(store, caller, workspaceRunId, cancellationToken), uploadId, context);
        return TypedResults.NoContent();
    }

    private static async Task<WorkspaceRunArchiveResponse> FinalizeAsync(
        string workspaceRunId, Caller caller, HttpContext context, WorkspaceRunStore store, ArchiveStaging staging,
        CancellationToken cancellationToken)
    {
        var run = await FindAsync(store, caller, workspaceRunId, cancellationToken);
        var body = await RequestBody.ReadAsync<ArchiveTransferRequest>(context, cancellationToken);
        return Uploaded(await staging.FinalizeAsync(run, body, cancellationToken));
    }

    private static async Task<WorkspaceRunRow> FindAsync(
        WorkspaceRunStore store, Caller caller, string id, CancellationToken cancellationToken) =>
        await store.FindAsync(caller.Ownership, id, cancellationToken) ?? throw ApiException.NotFound("Workspace run");

    private static WorkspaceRunArchiveResponse Uploaded(WorkspaceRunRow row)
    {
        var run = row.ToWorkspaceRun();
        return new WorkspaceRunArchiveResponse(run.Archive!, run);
    }

    private static JsonHttpResult<T> Created<T>(T body) =>
        TypedResults.Json(body, CrowNestJson.Options, statusCode: StatusCodes.Status201Created);
}
