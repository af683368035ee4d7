using System.Collections.Concurrent;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.WorkspaceRuns.Claiming;

namespace CrowNest.Worker.WorkspaceRuns.Stages;

/// <content>The live sandbox that the caller named.</content>
internal sealed partial class RunSandboxes
{
    /// <summary>A warm sandbox whose row is ready and that is not here is about to be adopted, or has just ended.</summary>
    private static readonly TimeSpan AdoptionPatience = TimeSpan.FromSeconds(15);

    /// <summary>Each warm sandbox is taken by one run after the other (<see cref="WorkspaceRunStore.AssignWarmSandboxAsync"/>).</summary>
    private readonly SemaphoreSlim _assigning = new(1);
    private readonly ConcurrentDictionary<string, long> _missingSince = new();

    private async Task<LiveSandbox?> TryObtainWarmAsync(ClaimedRun run, string id, CancellationToken cancellationToken)
    {
        var row = await sandboxes.FindAsync(id, cancellationToken);
        if (row is null || row.ExpiresAt <= clock.GetUtcNow()
            || row.State is SandboxStatus.Expiring or SandboxStatus.Destroyed or SandboxStatus.Failed)
        {
            throw Unavailable(run, $"Sandbox {id} has ended.");
        }

        if (row.State != SandboxStatus.Ready || !live.TryGet(id, out var sandbox))
        {
            if (clock.GetElapsedTime(_missingSince.GetOrAdd(run.Id, _ => clock.GetTimestamp())) > AdoptionPatience)
            {
                throw Unavailable(run, $"Sandbox {id} is not on its node.");
            }

            await Task.Delay(ShortPause, clock, cancellationToken);
            return null;
        }

        if (run.Row.SandboxId != id)
        {
            await _assigning.WaitAsync(cancellationToken);
            try
            {
                if (!await run.TryAssignWarmSandboxAsync(id, cancellationToken))
                {
                    throw new RunFailedException(
                        WorkspaceRunFailure.SandboxConflict, $"Sandbox {id} is busy, or used by another workspace run.");
                }
            }
            finally
            {
                _assigning.Release();
            }
        }

        return sandbox;
    }
}
