using CrowNest.Platform.Commands;

namespace CrowNest.Platform.Nodes;

/// <summary>Body of <c>POST /internal/sandboxes</c>: all a worker needs to take a <c>creating</c> row on.</summary>
public sealed record StartSandbox
{
    public required string SandboxId { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateVersionId { get; init; }
    public required string Network { get; init; }
    public required double Cpus { get; init; }
    public required int MemoryMb { get; init; }
}

/// <param name="Warm">It came from the pool.</param>
public sealed record SandboxStarted(string ContainerId, string Runtime, bool Warm, DateTimeOffset ReadyAt);

/// <param name="State">Stored state after the worker has done what was due.</param>
public sealed record SandboxReconciled(string State);

/// <summary>Body of <c>POST /internal/commands</c>.</summary>
public sealed record StartCommand
{
    public required string CommandId { get; init; }
    public required string SandboxId { get; init; }
    public required string Command { get; init; }
    public required string Cwd { get; init; }

    /// <summary>Values live only here and in the process; they are never stored (docs/reference/api.md 5.1).</summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();
    public long? TimeoutMs { get; init; }

    /// <summary>How long the answer may wait for the end of the command.</summary>
    public long WaitMs { get; init; }
}

/// <param name="Command">The row: final, or its present state when the wait was over first.</param>
public sealed record CommandOutcome(CommandRow Command);

/// <param name="Mode"><c>graceful</c> or <c>force</c>.</param>
public sealed record CancelCommand(string Mode);

/// <summary>Body of <c>POST /internal/sandboxes/{id}/artifacts</c>: the export that a <c>storing</c> row announces.</summary>
/// <param name="Path">Workspace path of a file.</param>
/// <param name="MaxBytes">Above it nothing is kept: <c>file_too_large</c>.</param>
public sealed record StoreArtifact(string ArtifactId, string ObjectKey, string Path, long MaxBytes);

/// <summary>Body of <c>POST /internal/sandboxes/{id}/imports</c>.</summary>
/// <param name="Sha256">Lower-case hex; verified before the file appears.</param>
/// <param name="Path">Destination, a workspace path.</param>
public sealed record ImportObject(string ObjectKey, string Sha256, long SizeBytes, string Path, bool CreateParents, bool Overwrite);

/// <summary>
/// A file as the agent tells of it (docs/protocols.md 2.4). With properties instead of a constructor of six parameters, which costs half
/// as much again to read, ten thousand times in a listing.
/// </summary>
public sealed record AgentFile
{
    public required string Path { get; init; }

    /// <summary><c>file</c> or <c>directory</c>.</summary>
    public required string Type { get; init; }
    public required long SizeBytes { get; init; }

    /// <summary>Unix milliseconds.</summary>
    public required long ModifiedAt { get; init; }

    /// <summary>Base name; only in lists.</summary>
    public string? Name { get; init; }

    /// <summary>Only in the answer to a write.</summary>
    public string? Sha256 { get; init; }
}

/// <param name="Truncated">There is more than was asked for.</param>
public sealed record AgentFileList(IReadOnlyList<AgentFile> Entries, bool Truncated);

/// <summary>What a worker tells of itself with every heartbeat.</summary>
public sealed record WorkerSnapshot
{
    public required string WorkerId { get; init; }
    public required string Url { get; init; }

    /// <summary>Sandboxes that a caller has, and how many the node takes at most.</summary>
    public required int Running { get; init; }
    public required int Capacity { get; init; }

    /// <summary>Template versions whose image the node has, with the number of warm sandboxes of each.</summary>
    public required IReadOnlyDictionary<string, int> WarmByTemplateVersion { get; init; }
}
