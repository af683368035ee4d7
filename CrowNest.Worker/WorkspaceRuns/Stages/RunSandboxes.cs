using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.WorkspaceRuns.Claiming;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.WorkspaceRuns.Stages;

/// <summary>The sandbox of a run: one of its own, or the warm one that its caller named.</summary>
internal sealed partial class RunSandboxes(
    SandboxStore sandboxes, LiveSandboxes live, SandboxStarter starter, SandboxEndings endings, NodeCapacity capacity,
    IOptions<WorkerOptions> options, TimeProvider clock, ILogger<RunSandboxes> logger) : IDisposable
{
    /// <summary>Sandboxes that are lost before their command runs, or cannot be made, until the run gives up.</summary>
    private const int MaxLost = 3;
    private const int DestroyAttempts = 8;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ShortPause = TimeSpan.FromMilliseconds(50);
    private readonly HashSet<string> _reserved = [];

    /// <summary>The live sandbox of the run; the one it has already when that is still there.</summary>
    /// <exception cref="RunFailedException">There is none, and none will be.</exception>
    public async Task<LiveSandbox> ObtainAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        using var stage = RunStage.Enter(run, "sandbox", clock);
        try
        {
            while (true)
            {
                var sandbox = run.HasOwnSandbox
                    ? await TryObtainOwnAsync(run, cancellationToken)
                    : await TryObtainWarmAsync(run, run.Row.WarmSandboxId!, cancellationToken);
                if (sandbox is not null)
                {
                    stage.SetTag("crownest.sandbox_id", sandbox.Id);
                    return sandbox;
                }
            }
        }
        finally
        {
            _missingSince.TryRemove(run.Id, out _);
            // Live, it is counted by the node itself; else the run fails or is looked at again.
            run.WantsRoom = false;
        }
    }

    /// <summary>Ends the run's own sandbox, however far it has come.</summary>
    /// <returns>false when it is still there; its row then says <c>expiring</c>, and the sweep goes on with it.</returns>
    public async Task<bool> DestroyAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        if (run.Row.SandboxId is not { } id)
        {
            return true;
        }

        for (var attempt = 1; ; attempt++)
        {
            if (await sandboxes.FindAsync(id, cancellationToken) is not { } row || !SandboxStates.IsLive(row.State))
            {
                return true;
            }

            await sandboxes.MarkExpiringAsync(id, DestroyedReason.PlatformCleanup, cancellationToken);
            try
            {
                // Of a node that was lost the API closes the row.
                if (row.WorkerId is null || row.WorkerId == run.WorkerId)
                {
                    await endings.DestroyAsync(id).WaitAsync(cancellationToken);
                }
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                LogNotDestroyed(exception, id, run.Id, attempt);
            }

            if (attempt == DestroyAttempts)
            {
                return await sandboxes.FindAsync(id, cancellationToken) is not { } left || !SandboxStates.IsLive(left.State);
            }

            if (await sandboxes.FindAsync(id, cancellationToken) is { } still && SandboxStates.IsLive(still.State))
            {
                await Task.Delay(attempt * Pause, clock, cancellationToken);
            }
        }
    }

    public void Dispose() => _assigning.Dispose();

    /// <returns>null: look again.</returns>
    private async Task<LiveSandbox?> TryObtainOwnAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        if (run.Row.SandboxId is not { } id)
        {
            await run.AssignSandboxAsync(Ids.New(Ids.Sandbox), cancellationToken);
            return null;
        }

        switch (await sandboxes.FindAsync(id, cancellationToken))
        {
            case null:
                return await MakeAsync(run, id, cancellationToken);
            case { State: SandboxStatus.Creating }:
                return await StartAsync(run, id, cancellationToken);
            case { State: SandboxStatus.Ready } when live.TryGet(id, out var sandbox):
                return sandbox;
            case { State: SandboxStatus.Starting } when starter.IsStarting(id):
                await Task.Delay(ShortPause, clock, cancellationToken);
                return null;
            case { } lost:
                await ReplaceAsync(run, lost, cancellationToken);
                return null;
        }
    }

    /// <summary>Makes the sandbox as soon as the organization's ceiling and this node have room for it.</summary>
    private async Task<LiveSandbox?> MakeAsync(ClaimedRun run, string id, CancellationToken cancellationToken)
    {
        if (!TryReserve(id))
        {
            await WaitAsync(run, $"The node is full: it takes {capacity.Limit} sandboxes at once.", cancellationToken);
            return null;
        }

        try
        {
            if (await AnnounceAsync(run.Row, id, cancellationToken) is not { } current)
            {
                return await StartAsync(run, id, cancellationToken);
            }

            // Others may have the room meanwhile: what waits for the ceiling does not need it.
            run.WantsRoom = false;
            Unreserve(id);
            await WaitAsync(
                run, $"The organization has {current} live sandboxes; its plan allows {run.Row.Allowance.ConcurrentSandboxes}.",
                cancellationToken);
            return null;
        }
        finally
        {
            Unreserve(id);
        }
    }

    /// <summary>Rows are only written for sandboxes that there is room for: one that waits would count for its organization.</summary>
    private bool TryReserve(string id)
    {
        lock (_reserved)
        {
            return capacity.Running + _reserved.Count < capacity.Limit && _reserved.Add(id);
        }
    }

    private void Unreserve(string id)
    {
        lock (_reserved)
        {
            _reserved.Remove(id);
        }
    }

    /// <returns>The number of live sandboxes that stood in the way; null: the row is written.</returns>
    private Task<long?> AnnounceAsync(WorkspaceRunRow row, string id, CancellationToken cancellationToken) => sandboxes.InsertAsync(
        new NewSandbox
        {
            Id = id,
            OrgId = row.OrgId,
            ProjectId = row.ProjectId,
            TemplateId = row.TemplateId,
            TemplateVersionId = row.TemplateVersionId,
            Network = row.Allowance.Network,
            Cpus = row.Allowance.Cpus,
            MemoryMb = row.Allowance.MemoryMb,
            TtlMs = row.TimeoutMs + (long)options.Value.Runs.SandboxMargin.TotalMilliseconds,
            CreatedAt = clock.GetUtcNow(),
            Metadata = new Dictionary<string, string> { ["workspaceRunId"] = row.Id },
        },
        row.Allowance.ConcurrentSandboxes, null, cancellationToken);

    private async Task<LiveSandbox?> StartAsync(ClaimedRun run, string id, CancellationToken cancellationToken)
    {
        var row = run.Row;
        try
        {
            var starting = starter.StartAsync(new StartSandbox
            {
                SandboxId = id,
                OrgId = row.OrgId,
                ProjectId = row.ProjectId,
                TemplateId = row.TemplateId,
                TemplateVersionId = row.TemplateVersionId,
                Network = row.Allowance.Network,
                Cpus = row.Allowance.Cpus,
                MemoryMb = row.Allowance.MemoryMb,
            });
            // The node itself counts it from now on.
            Unreserve(id);
            await starting.WaitAsync(cancellationToken);
            return live.TryGet(id, out var sandbox) ? sandbox : null;
        }
        catch (WorkerException refusal) when (refusal.Code == ErrorCodes.QuotaExceeded)
        {
            await WaitAsync(run, refusal.Message, cancellationToken);
        }
        catch (WorkerException failure)
        {
            // The row says the same, and is replaced.
            LogNotStarted(failure, id, run.Id);
        }

        return null;
    }

    /// <summary>Another one instead of a sandbox that failed, ended, or is on a node that was lost.</summary>
    private async Task ReplaceAsync(ClaimedRun run, SandboxRow lost, CancellationToken cancellationToken)
    {
        if (SandboxStates.IsLive(lost.State))
        {
            await sandboxes.MarkExpiringAsync(lost.Id, DestroyedReason.PlatformCleanup, cancellationToken);
        }

        LogReplaced(lost.Id, run.Id, lost.State, lost.FailureMessage);
        if (++run.LostSandboxes >= MaxLost)
        {
            throw Unavailable(run, lost.FailureMessage ?? "The sandbox ended before the command was started.");
        }

        await run.AssignSandboxAsync(Ids.New(Ids.Sandbox), cancellationToken);
    }

    /// <summary>Waits for room, for a bounded time, and says so.</summary>
    private async Task WaitAsync(ClaimedRun run, string why, CancellationToken cancellationToken)
    {
        var wait = options.Value.Runs.SandboxWait;
        if (clock.GetUtcNow() - run.Row.StartedAt!.Value >= wait)
        {
            throw Unavailable(run, $"There was no room for a sandbox within {wait}. {why}");
        }

        await run.TellAsync($"Waiting for a sandbox. {why}", cancellationToken);
        await Task.Delay(Pause, clock, cancellationToken);
    }

    /// <summary>docs/reference/api.md 10.2: only a run that is <c>starting</c> may fail with <c>sandbox_unavailable</c>.</summary>
    private static RunFailedException Unavailable(ClaimedRun run, string message) => new(
        run.Row.Status == WorkspaceRunStatus.Starting ? WorkspaceRunFailure.SandboxUnavailable : WorkspaceRunFailure.InternalError,
        message);

    [LoggerMessage(6420, LogLevel.Warning, "Sandbox {SandboxId} of run {RunId} could not be started")]
    private partial void LogNotStarted(Exception exception, string sandboxId, string runId);

    [LoggerMessage(6421, LogLevel.Warning, "Sandbox {SandboxId} of run {RunId} is {State} and replaced: {Reason}")]
    private partial void LogReplaced(string sandboxId, string runId, string state, string? reason);

    [LoggerMessage(6422, LogLevel.Warning, "Sandbox {SandboxId} of run {RunId} is not destroyed yet, attempt {Attempt}")]
    private partial void LogNotDestroyed(Exception exception, string sandboxId, string runId, int attempt);
}
