using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace CrowNest.Dashboard.Tests;

/// <summary>Workspace runs.</summary>
internal sealed partial class FakeApi
{
    public const string Jws = "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl";

    public ConcurrentDictionary<string, FakeRun> Runs { get; } = new();

    public FakeRun AddRun(string user, string command, Func<WorkspaceRun, WorkspaceRun>? change = null)
    {
        var run = new WorkspaceRun
        {
            Id = Ids.New(Ids.WorkspaceRun),
            OrgId = "org_1",
            ProjectId = "prj_default",
            Status = WorkspaceRunStatus.AwaitingArchive,
            Command = command,
            KeepSandbox = false,
            Metadata = new Dictionary<string, string>(),
            TemplateId = "tpl_python_node",
            TemplateSlug = "python-node",
            TemplateVersion = "2026-11-22",
            TemplateVersionId = "tplv_python_node_5c0ffee1",
            CreatedAt = DateTimeOffset.UtcNow,
            TimeoutMs = 600_000,
            EnvKeys = [],
            EvidenceAvailable = false,
        };
        run = change?.Invoke(run) ?? run;
        return Runs[run.Id] = new FakeRun(user, run);
    }

    private void MapRuns(RouteGroupBuilder v1)
    {
        var runs = v1.MapGroup("/workspace-runs");
        runs.MapGet("", (HttpContext context, string? status, int? limit, string? cursor) =>
        {
            var all = Runs.Values.Where(run => run.Owner == User(context)).Select(run => run.Run)
                .Where(run => status is null || run.Status == status).OrderByDescending(run => run.CreatedAt).ToArray();
            var skip = cursor is null ? 0 : int.Parse(cursor, CultureInfo.InvariantCulture);
            var take = limit ?? 50;
            var next = skip + take < all.Length ? (skip + take).ToString(CultureInfo.InvariantCulture) : null;
            return Results.Json(new Page<WorkspaceRun>([.. all.Skip(skip).Take(take)], next is not null, next));
        });
        runs.MapGet("/{id}", (string id, HttpContext context) =>
            RunOf(context, id) is { } run ? Results.Json(new WorkspaceRunResponse(run.Run)) : NotFound());
        runs.MapPost("/{id}/cancel", (string id, HttpContext context) =>
        {
            if (RunOf(context, id) is not { } run)
                return NotFound();
            run.End(WorkspaceRunStatus.Canceled, current => current with { FailureClass = WorkspaceRunFailure.ClassCanceled });
            return Results.Json(new WorkspaceRunResponse(run.Run));
        });
        runs.MapGet("/{id}/evidence", (string id, string? format, HttpContext context) => RunOf(context, id) switch
        {
            null => NotFound(),
            { Evidence: null } => Error(409, ErrorCodes.Conflict),
            { IsStoreAway: true } => Error(502, ErrorCodes.DownloadExportFailed),
            _ when format == "jws" => Results.Text(Jws, "application/jose"),
            var run => Results.Json(new WorkspaceRunEvidenceResponse(run.Evidence)),
        });
        runs.MapGet("/{id}/events", StreamEventsAsync);
        v1.MapGet("/artifacts/{id}", (string id, HttpContext context) =>
            Artifacts.TryGetValue(id, out var owned) && owned.Owner == User(context)
                ? Results.Json(new ArtifactResponse(owned.Artifact)) : NotFound());
    }

    private async Task<IResult?> StreamEventsAsync(string id, long? afterSeq, HttpContext context)
    {
        if (RunOf(context, id) is not { } run)
            return NotFound();
        context.Response.ContentType = "text/event-stream";
        var position = afterSeq ?? 0;
        while (true)
        {
            var (changed, connection) = (run.Changed, run.Connection);
            foreach (var told in run.After(position))
            {
                position = told.Seq;
                await context.Response.WriteAsync(
                    $"id: {told.Seq}\nevent: {told.Type}\ndata: {JsonSerializer.Serialize(told, CrowNestJson.Options)}\n\n");
                await context.Response.Body.FlushAsync();
                if (told.Type == WorkspaceRunEventType.Terminal)
                    return Results.Empty;
            }

            await Task.WhenAny(changed, connection).WaitAsync(context.RequestAborted);
            if (connection.IsCompleted)
            {
                context.Abort();
                return Results.Empty;
            }
        }
    }

    private FakeRun? RunOf(HttpContext context, string id) =>
        Runs.TryGetValue(id, out var run) && run.Owner == User(context) ? run : null;
}
