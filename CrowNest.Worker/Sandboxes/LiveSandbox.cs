using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Sandboxes;

/// <summary>A sandbox that a caller has and whose agent this worker speaks to.</summary>
internal sealed class LiveSandbox : IDisposable
{
    private readonly CancellationTokenSource _ended = new();

    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string ContainerId { get; init; }
    public required AgentClient Agent { get; init; }

    /// <summary>Fires once the row is final (<c>destroyed</c> or <c>failed</c>) and the container is gone.</summary>
    public CancellationToken Ended => _ended.Token;

    internal void End() => _ended.Cancel();

    /// <summary>For one that never went live; an ended one may still be held by its commands.</summary>
    public void Dispose() => _ended.Dispose();
}
