using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Containers;

/// <summary>A container whose agent answers, warm or claimed.</summary>
internal sealed class SandboxContainer : IDisposable
{
    private int _removing;

    /// <summary>Name in the engine, and of its socket folder.</summary>
    public required string Name { get; init; }
    public required string ContainerId { get; init; }
    public required string TemplateVersionId { get; init; }

    /// <summary>What it was made of; containers of equal fingerprints are interchangeable.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>The user's uid and gid, unique on the node.</summary>
    public required int Uid { get; init; }

    /// <summary>Process id of the agent as the node sees it.</summary>
    public required int Pid { get; init; }

    /// <summary>The same process, to end it; null where the kernel gives no hold of it.</summary>
    public required ContainerProcess? Process { get; init; }

    /// <summary>Container runtime, for example <c>runc</c>.</summary>
    public required string Runtime { get; init; }
    public required AgentClient Agent { get; init; }

    /// <summary>Its end is our own doing, and nothing to report.</summary>
    public bool IsRemoving => Volatile.Read(ref _removing) != 0;

    public void MarkRemoving() => Volatile.Write(ref _removing, 1);

    public void Dispose()
    {
        Agent.Dispose();
        Process?.Dispose();
    }
}
