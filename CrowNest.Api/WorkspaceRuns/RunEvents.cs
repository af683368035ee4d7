using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>
/// <c>GET /v1/workspace-runs/{id}/events</c> (docs/reference/api.md 10.8): a window, or with <c>stream=true</c> what is there and then
/// live. Both read the same rows, so that a replay is what was sent.
/// </summary>
internal sealed partial class RunEvents(
    WorkspaceRunStore runs, RunWakeUps wakeUps, IOptions<ApiOptions> api, IOptions<WorkspaceRunOptions> options,
    IHostApplicationLifetime lifetime, TimeProvider time, ILogger<RunEvents> logger)
{
    private const int BatchSize = 200;

    /// <summary>Answers the request.</summary>
    public async Task<IResult> ReadAsync(string runId, Caller caller, HttpContext context)
    {
        var run = await runs.FindAsync(caller.Ownership, runId, context.RequestAborted) ?? throw ApiException.NotFound("Workspace run");
        var window = Paging.ReadSeq(context.Request);
        var isStream = Paging.Single(context.Request, "stream") switch
        {
            null or "false" => false,
            "true" => true,
            _ => throw ApiException.InvalidField("stream", "'stream' must be true or false."),
        };
        if (isStream)
        {
            await StreamAsync(run, window.AfterSeq ?? SseWriter.ReadLastEventId(context.Request) ?? 0, context);
            return TypedResults.Empty;
        }

        var found = await runs.ReadEventsAsync(runId, window.AfterSeq ?? 0, window.Limit + 1, context.RequestAborted);
        var hasMore = found.Count > window.Limit;
        IReadOnlyList<WorkspaceRunEvent> shown = hasMore ? found[..window.Limit] : found;
        return TypedResults.Json(
            new SeqPage<WorkspaceRunEvent>(shown, hasMore, shown is [.., var last] ? last.Seq : null), CrowNestJson.Options);
    }

    private async Task StreamAsync(WorkspaceRunRow run, long afterSeq, HttpContext context)
    {
        var aborted = context.RequestAborted;
        var position = afterSeq;
        var isAhead = afterSeq > run.LastSeq || (run.ClosedAt is not null && afterSeq == run.LastSeq);
        // A stopping process breaks the stream off, unfinished, so that the client resumes it elsewhere (H6).
        using var stopping = lifetime.ApplicationStopping.Register(context.Abort);
        await using var wakeUp = await wakeUps.SubscribeAsync(run.Id, aborted);
        await using var events = await SseWriter.OpenAsync(
            context, now => Heartbeat(Interlocked.Read(ref position), now), api.Value.HeartbeatInterval, time);
        while (true)
        {
            var next = wakeUp.Next;
            var found = await TryReadAsync(run, position, isAhead, aborted);
            foreach (var item in found)
            {
                await events.WriteAsync(item.Type, item.Seq, item, aborted);
                Interlocked.Exchange(ref position, item.Seq);
                if (item.Type == WorkspaceRunEventType.Terminal)
                {
                    return;
                }
            }

            if (found.Count < BatchSize)
            {
                await wakeUp.WaitAsync(next, options.Value.PollInterval, time, aborted);
            }
        }
    }

    private async Task<List<WorkspaceRunEvent>> TryReadAsync(
        WorkspaceRunRow run, long position, bool isAhead, CancellationToken cancellationToken)
    {
        try
        {
            var found = await runs.ReadEventsAsync(run.Id, position, BatchSize, cancellationToken);
            return found.Count == 0 && isAhead ? await ReadEndAsync(run.Id, position, cancellationToken) : found;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            // An error event would end the stream for good. Heartbeats go on, and so does the stream when the database is back.
            LogDatabaseAway(run.Id, e);
            return [];
        }
    }

    /// <summary>
    /// The end of a run for a client that says it has read that far already: a stream ends with <c>terminal</c> or it is taken for broken
    /// (H6).
    /// </summary>
    private async Task<List<WorkspaceRunEvent>> ReadEndAsync(string runId, long position, CancellationToken cancellationToken) =>
        await runs.FindAsync(runId, cancellationToken) is { ClosedAt: not null } closed && closed.LastSeq <= position
            ? await runs.ReadEventsAsync(runId, closed.LastSeq - 1, 1, cancellationToken)
            : [];

    private static WorkspaceRunEvent Heartbeat(long seq, DateTimeOffset now) =>
        new() { Type = WorkspaceRunEventType.Heartbeat, Seq = seq, CreatedAt = now };

    [LoggerMessage(2550, LogLevel.Warning, "Run {RunId}: its events cannot be read for a stream now; the stream waits.")]
    private partial void LogDatabaseAway(string runId, Exception exception);
}
