using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Api.Maintenance;
using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>
/// Start and cancel of a run (docs/reference/api.md 10.6, 10.7): conditional changes, so that two of them at once have one outcome.
/// </summary>
internal sealed class RunControl(WorkspaceRunStore runs, RunSignals notices, AbandonedRunCompletion ending, TimeProvider time)
{
    /// <summary>Starts the run, or returns one that is started as it is.</summary>
    public async Task<WorkspaceRunRow> StartAsync(Ownership owner, string runId, CancellationToken cancellationToken)
    {
        while (true)
        {
            var run = await FindAsync(owner, runId, cancellationToken);
            switch (run.Status)
            {
                case WorkspaceRunStatus.AwaitingArchive:
                    throw new ApiException(ErrorCodes.UploadIncomplete, "The run has no archive yet: upload it first.");
                case WorkspaceRunStatus.ArchiveUploaded:
                    var now = time.GetUtcNow();
                    var told = RunEventFactory.Status(WorkspaceRunStatus.Starting, now);
                    if (await runs.MarkStartingAsync(runId, now, told, CancellationToken.None) is { } started)
                    {
                        await notices.StartedAsync(started, CancellationToken.None);
                        return started;
                    }

                    // Another request was first: the next look says which.
                    break;
                case var final when WorkspaceRunStatus.IsFinal(final):
                    throw new ApiException(
                        ErrorCodes.Conflict, $"The run is {final} and cannot be started.", new JsonObject { ["status"] = final });
                default:
                    return run;
            }
        }
    }

    /// <summary>Cancels the run; one that is final is returned as it is.</summary>
    public async Task<WorkspaceRunRow> CancelAsync(Ownership owner, string runId, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        cancellationToken.ThrowIfCancellationRequested();
        if (await runs.CancelAsync(owner, runId, now, RunEventFactory.Status(WorkspaceRunStatus.Canceled, now), CancellationToken.None)
            is not { } canceled)
        {
            return await FindAsync(owner, runId, cancellationToken);
        }

        await notices.ChangedAsync(runId);
        return canceled.StartedAt is null ? await ending.CloseUnstartedAsync(canceled) : canceled;
    }

    private async Task<WorkspaceRunRow> FindAsync(Ownership owner, string runId, CancellationToken cancellationToken) =>
        await runs.FindAsync(owner, runId, cancellationToken) ?? throw ApiException.NotFound("Workspace run");
}
