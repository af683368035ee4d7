using CrowNest.Api.WorkspaceRuns;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Storage;
using CrowNest.Platform.WorkspaceRuns;
using Npgsql;

namespace CrowNest.Api.Maintenance;

/// <summary>Ends runs that no worker carries: canceled before their start, never uploaded, or lost with their worker.</summary>
internal sealed partial class AbandonedRunCompletion(
    WorkspaceRunStore runs, SandboxStore sandboxes, RunCompletion closing, RunSignals notices, IHostApplicationLifetime lifetime,
    TimeProvider time, ILogger<AbandonedRunCompletion> logger)
{
    /// <summary>How long a cancel waits for the evidence; a store that is slower does not hold its caller up.</summary>
    private static readonly TimeSpan CancelWait = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Stores the evidence of a canceled run that was never started, and tells its end; in the background when that takes long.
    /// </summary>
    /// <returns>The run's row as it is then.</returns>
    public async Task<WorkspaceRunRow> CloseUnstartedAsync(WorkspaceRunRow canceled)
    {
        var work = Task.Run(() => TryCloseAsync(canceled), CancellationToken.None);
        try
        {
            return await work.WaitAsync(CancelWait, time) ?? canceled;
        }
        catch (TimeoutException)
        {
            return canceled;
        }
    }

    /// <summary>Ends a run that was abandoned, as far as that can be done now; the next round of the sweep goes on.</summary>
    public async Task EndAbandonedAsync(WorkspaceRunRow run, CancellationToken cancellationToken)
    {
        if (!run.IsFinal)
        {
            LogAbandoned(run.Id, run.Status);
        }

        if (run.Status == WorkspaceRunStatus.ArchiveUploaded)
        {
            await WithdrawAsync(run, cancellationToken);
        }
        else if (await CleanUpAsync(run, cancellationToken))
        {
            await FinishAsync(run, EndOf(run, time.GetUtcNow()), cancellationToken);
        }
    }

    /// <summary>
    /// Nobody has started the run. Nothing of it was carried out and nothing went wrong, so no reason of a failure would be true.
    /// </summary>
    private async Task WithdrawAsync(WorkspaceRunRow run, CancellationToken cancellationToken)
    {
        const string Message = "The run was not started in time after its upload; the platform has canceled it.";
        var now = time.GetUtcNow();
        var told = RunEventFactory.Status(WorkspaceRunStatus.Canceled, now, Message);
        if (await runs.WithdrawAsync(run.Id, now, Message, told, cancellationToken) is { } canceled)
        {
            await FinishAsync(canceled, EndOf(canceled, now), cancellationToken);
        }
    }

    private static WorkspaceRunEnd EndOf(WorkspaceRunRow run, DateTimeOffset now) => run.Status switch
    {
        WorkspaceRunStatus.AwaitingArchive => new(
            WorkspaceRunStatus.Failed, now, WorkspaceRunFailure.UploadMissing, "No archive was uploaded in time."),
        _ when run.ClaimedBy is null => new(
            WorkspaceRunStatus.Failed, now, WorkspaceRunFailure.InternalError, "No worker took the run."),
        _ => new(WorkspaceRunStatus.Failed, now, WorkspaceRunFailure.InternalError, "The worker that carried the run was lost."),
    };

    /// <summary>null: it could not be done now.</summary>
    private async Task<WorkspaceRunRow?> TryCloseAsync(WorkspaceRunRow canceled)
    {
        try
        {
            return await FinishAsync(canceled, EndOf(canceled, canceled.FinishedAt!.Value), lifetime.ApplicationStopping);
        }
        catch (ObjectStoreException e)
        {
            LogEvidenceWaits(canceled.Id, e);
            return await TryTellAsync(canceled);
        }
        catch (Exception e)
        {
            // Nobody may be waiting any more to hear of it; the cancel itself stands.
            LogEvidenceWaits(canceled.Id, e);
            return null;
        }
    }

    private async Task<WorkspaceRunRow?> TryTellAsync(WorkspaceRunRow canceled)
    {
        try
        {
            var told = RunEventFactory.Status(
                canceled.Status, time.GetUtcNow(), "The evidence cannot be stored at the moment; it is tried again until it is.");
            var row = await runs.AppendAsync(canceled.Id, canceled.ClaimedBy, [told], CancellationToken.None);
            await notices.ChangedAsync(canceled.Id);
            return row;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            LogEvidenceWaits(canceled.Id, e);
            return null;
        }
    }

    private async Task<WorkspaceRunRow?> FinishAsync(WorkspaceRunRow run, WorkspaceRunEnd end, CancellationToken cancellationToken)
    {
        if (await closing.FinishAsync(run.Id, run.ClaimedBy, end, run.Status, cancellationToken) is not { } finished)
        {
            // It has found a worker or its archive after all.
            return null;
        }

        var closed = await closing.CloseAsync(run.Id, cancellationToken) ?? finished;
        await notices.ChangedAsync(run.Id);
        return closed;
    }

    /// <summary>
    /// The sandbox that a lost worker has left: its node destroys it, or its books are closed when that is lost too. What became of it is
    /// what the run says.
    /// </summary>
    /// <returns>Whether that is known by now.</returns>
    private async Task<bool> CleanUpAsync(WorkspaceRunRow run, CancellationToken cancellationToken)
    {
        if (run.CleanupStatus != WorkspaceRunCleanup.Pending)
        {
            return true;
        }

        var sandbox = run.SandboxId is { } id ? await sandboxes.FindAsync(id, cancellationToken) : null;
        if (sandbox is not null && SandboxStates.IsLive(sandbox.State))
        {
            await sandboxes.MarkExpiringAsync(sandbox.Id, DestroyedReason.PlatformCleanup, cancellationToken);
            return false;
        }

        // A sandbox that failed with its node may still be there when the node comes back, which then removes it.
        var isGone = sandbox is null || sandbox.State == SandboxStatus.Destroyed;
        await runs.SaveCleanupAsync(run.Id, isGone ? WorkspaceRunCleanup.Succeeded : WorkspaceRunCleanup.Failed, cancellationToken);
        return true;
    }

    [LoggerMessage(2530, LogLevel.Warning, "Run {RunId} is {Status} and nobody's: it is ended.")]
    private partial void LogAbandoned(string runId, string status);

    [LoggerMessage(2531, LogLevel.Warning, "Run {RunId}: its evidence cannot be stored now; the sweep tries again.")]
    private partial void LogEvidenceWaits(string runId, Exception exception);
}
