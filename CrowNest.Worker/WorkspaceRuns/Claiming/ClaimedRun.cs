using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.WorkspaceRuns;

namespace CrowNest.Worker.WorkspaceRuns.Claiming;

/// <summary>
/// A run in the hands of this worker: its row as last seen, and every change of it. A change that finds the run moved on throws
/// <see cref="RunMovedException"/>; every other one wakes the run's followers.
/// </summary>
internal sealed class ClaimedRun(WorkspaceRunRow row, string workerId, WorkspaceRunStore store, RunWakeUps wakeUps, TimeProvider clock)
    : IDisposable
{
    private readonly CancellationTokenSource _interrupted = new();

    public string Id => Row.Id;
    public string WorkerId => workerId;
    public WorkspaceRunRow Row { get; private set; } = row;

    /// <summary>Fires when the run was canceled, or is another worker's: what is under way has become pointless.</summary>
    public CancellationToken Interrupted => _interrupted.Token;

    /// <summary>How it will end, once that is decided.</summary>
    public WorkspaceRunEnd? Verdict { get; set; }

    /// <summary>It is going to need room for a sandbox on this node and has none yet.</summary>
    public bool WantsRoom { get; set; } = row is { WarmSandboxId: null, Status: WorkspaceRunStatus.Starting };

    /// <summary>Sandboxes that were lost or could not be made.</summary>
    public int LostSandboxes { get; set; }

    /// <summary>Whether the platform made the sandbox for this run alone.</summary>
    public bool HasOwnSandbox => Row.WarmSandboxId is null;

    public void Interrupt() => _interrupted.Cancel();

    /// <summary>Reads the row; false when there is nothing to do for this worker any more.</summary>
    public async Task<bool> RefreshAsync(CancellationToken cancellationToken)
    {
        if (await store.FindAsync(Id, cancellationToken) is not { } current)
        {
            return false;
        }

        Row = current;
        return current.ClosedAt is null && current.ClaimedBy == workerId;
    }

    /// <summary>Names the sandbox that is going to be made for it.</summary>
    public Task AssignSandboxAsync(string sandboxId, CancellationToken cancellationToken) =>
        ChangeAsync(store.AssignSandboxAsync(Id, workerId, sandboxId, cancellationToken));

    /// <summary>Takes its warm sandbox; false when that is busy, or another run's.</summary>
    public async Task<bool> TryAssignWarmSandboxAsync(string sandboxId, CancellationToken cancellationToken)
    {
        if (await store.AssignWarmSandboxAsync(Id, workerId, sandboxId, cancellationToken) is { } assigned)
        {
            Row = assigned;
            await wakeUps.PublishAsync(Id);
            return true;
        }

        return !await RefreshAsync(cancellationToken) || Row.IsFinal ? throw new RunMovedException(Id) : false;
    }

    public Task AssignCommandAsync(string commandId, CancellationToken cancellationToken) =>
        ChangeAsync(store.AssignCommandAsync(Id, workerId, commandId, cancellationToken));

    /// <summary>Enters the next stage.</summary>
    public Task AdvanceAsync(string to, CancellationToken cancellationToken) =>
        ChangeAsync(store.AdvanceAsync(Id, workerId, to, StatusEvent(to, null), cancellationToken));

    public Task SaveExitCodeAsync(int exitCode, CancellationToken cancellationToken) =>
        ChangeAsync(store.SaveExitCodeAsync(Id, workerId, exitCode, cancellationToken));

    /// <summary>Appends output up to <paramref name="outputSeq"/> of the command's log.</summary>
    public Task AppendOutputAsync(
        long outputSeq, long bytes, bool truncated, IReadOnlyList<WorkspaceRunEvent> events, CancellationToken cancellationToken) =>
        ChangeAsync(store.AppendOutputAsync(Id, workerId, Row.OutputSeq, outputSeq, bytes, truncated, events, cancellationToken));

    public Task AddCollectedAsync(string artifactId, string path, CancellationToken cancellationToken) =>
        ChangeAsync(store.AddCollectedAsync(
            Id, workerId, artifactId, null,
            Event(WorkspaceRunEventType.ArtifactCollected) with { ArtifactId = artifactId, Path = path }, cancellationToken));

    public Task AddNotCollectedAsync(CollectFailure failure, CancellationToken cancellationToken) =>
        ChangeAsync(store.AddCollectedAsync(
            Id, workerId, null, failure,
            Event(WorkspaceRunEventType.ArtifactError) with { Error = new CollectError(failure.Code, failure.Message, failure.Path) },
            cancellationToken));

    public Task SaveCleanupAsync(string cleanupStatus, CancellationToken cancellationToken) =>
        ChangeAsync(store.SaveCleanupAsync(Id, cleanupStatus, cancellationToken));

    /// <summary>Says that something is waited for, in an event; the same thing only once in a row.</summary>
    public async Task TellAsync(string message, CancellationToken cancellationToken)
    {
        var last = await store.ReadEventsAsync(Id, Row.LastSeq - 1, 1, cancellationToken);
        if (last is not [{ Message: var told }] || told != message)
        {
            await ChangeAsync(store.AppendAsync(Id, workerId, [StatusEvent(Row.Status, message)], cancellationToken));
        }
    }

    /// <summary>Takes over what another has changed on behalf of this worker.</summary>
    public Task AcceptAsync(WorkspaceRunRow? changed) => ChangeAsync(Task.FromResult(changed));

    public void Dispose() => _interrupted.Dispose();

    private async Task ChangeAsync(Task<WorkspaceRunRow?> change)
    {
        Row = await change ?? throw new RunMovedException(Id);
        await wakeUps.PublishAsync(Id);
    }

    private WorkspaceRunEvent StatusEvent(string status, string? message) =>
        Event(WorkspaceRunEventType.Status) with { Status = status, Message = message };

    private WorkspaceRunEvent Event(string type) => new() { Type = type, Seq = 0, CreatedAt = clock.GetUtcNow() };
}
