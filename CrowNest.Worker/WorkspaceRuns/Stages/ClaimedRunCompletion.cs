using CrowNest.Contracts;
using CrowNest.Platform.Storage;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Worker.WorkspaceRuns.Claiming;

namespace CrowNest.Worker.WorkspaceRuns.Stages;

/// <summary>
/// The end of a run: evidence and final status, cleanup, <c>terminal</c>, and then away with the archive. While the object store is away
/// the run waits, says so, and tries for ever: without evidence there is no end.
/// </summary>
internal sealed partial class ClaimedRunCompletion(
    RunCompletion closing, RunCommand command, RunSandboxes sandboxes, IObjectStore objects, WorkerRetries retries, TimeProvider clock,
    ILogger<ClaimedRunCompletion> logger)
{
    private static readonly TimeSpan ArchivePatience = TimeSpan.FromMinutes(1);

    /// <summary>Stores the evidence; the run is final afterwards, as its verdict says or, when a cancel was first, as canceled.</summary>
    public async Task FinishAsync(ClaimedRun run, CancellationToken stopping)
    {
        // Nothing of it runs when the run says that it is over.
        await command.StopAsync(run, stopping);
        if (run.Row.Status == WorkspaceRunStatus.Canceled && IsToBeCleanedUp(run))
        {
            await sandboxes.DestroyAsync(run, stopping);
        }

        using var stage = RunStage.Enter(run, "evidence", clock);
        await run.AcceptAsync(await retries.StoreAsync(
            $"Storing the evidence of run {run.Id}",
            token =>
            {
                var now = clock.GetUtcNow();
                var end = run.Verdict is { } verdict
                    ? verdict with { FinishedAt = now }
                    : new WorkspaceRunEnd(run.Row.Status, run.Row.FinishedAt ?? now, run.Row.FailureReason, run.Row.FailureMessage);
                return closing.FinishAsync(run.Id, run.WorkerId, end, from: null, token);
            },
            stopping,
            tell: _ => run.TellAsync("The evidence cannot be stored now; it is tried again.", stopping)));
        LogFinished(run.Id, run.Row.Status, run.Row.FailureReason);
    }

    /// <summary>Cleans up behind a final run with evidence, and says that this was all.</summary>
    public async Task CloseAsync(ClaimedRun run, CancellationToken stopping)
    {
        if (IsToBeCleanedUp(run))
        {
            using var stage = RunStage.Enter(run, "cleanup", clock);
            var gone = await sandboxes.DestroyAsync(run, stopping);
            if (!gone)
            {
                LogNotCleanedUp(run.Id, run.Row.SandboxId);
            }

            await run.SaveCleanupAsync(gone ? WorkspaceRunCleanup.Succeeded : WorkspaceRunCleanup.Failed, stopping);
        }

        await run.AcceptAsync(await closing.CloseAsync(run.Id, stopping));
        var row = run.Row;
        RunMetrics.Duration.Record(
            (row.FinishedAt!.Value - row.StartedAt!.Value).TotalMilliseconds, new KeyValuePair<string, object?>("status", row.Status),
            new KeyValuePair<string, object?>("reason", row.FailureReason));
        await RemoveArchiveAsync(run, stopping);
    }

    private static bool IsToBeCleanedUp(ClaimedRun run) => run.Row.CleanupStatus == WorkspaceRunCleanup.Pending;

    private async Task RemoveArchiveAsync(ClaimedRun run, CancellationToken stopping)
    {
        if (run.Row.ArchiveKey is not { } key)
        {
            return;
        }

        try
        {
            await retries.StoreAsync(
                $"Removing the archive of run {run.Id}",
                async token =>
                {
                    await objects.DeleteAsync(key, token);
                    return true;
                },
                stopping, clock.GetUtcNow() + ArchivePatience);
        }
        catch (ObjectStoreException failure)
        {
            LogArchiveLeft(failure, run.Id, key);
        }
    }

    [LoggerMessage(6460, LogLevel.Information, "Run {RunId} is {Status} {Reason}")]
    private partial void LogFinished(string runId, string status, string? reason);

    [LoggerMessage(6462, LogLevel.Error, "Run {RunId}: sandbox {SandboxId} is not gone; the sweep goes on with it")]
    private partial void LogNotCleanedUp(string runId, string? sandboxId);

    [LoggerMessage(6463, LogLevel.Warning, "Run {RunId}: the archive {Key} could not be removed")]
    private partial void LogArchiveLeft(Exception exception, string runId, string key);
}
