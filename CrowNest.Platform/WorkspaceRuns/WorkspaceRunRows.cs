using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>What the plan and the deployment allow a run, fixed at its creation.</summary>
/// <param name="ConcurrentSandboxes">Live sandboxes of the organization.</param>
/// <param name="Network">Policy of a sandbox of its own.</param>
/// <param name="MaxUnpackedBytes">Ceiling of the unpacked archive, like <paramref name="MaxEntries"/>.</param>
public sealed record RunAllowance(
    int ConcurrentSandboxes, string Network, double Cpus, int MemoryMb, long ArtifactRetentionMs, long ArtifactMaxBytes,
    long MaxUnpackedBytes, int MaxEntries);

/// <summary>What the API writes when it accepts a run.</summary>
public sealed record NewWorkspaceRun
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string Command { get; init; }
    public required long TimeoutMs { get; init; }
    public required bool KeepSandbox { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public IReadOnlyDictionary<string, string>? SourceMetadata { get; init; }
    public required IReadOnlyList<CollectItem> Artifacts { get; init; }
    public required RunAllowance Allowance { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateVersionId { get; init; }
    public string? WarmSandboxId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A run's row.</summary>
public sealed record WorkspaceRunRow
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }

    /// <summary>One of <see cref="WorkspaceRunStatus"/>.</summary>
    public required string Status { get; init; }
    public required string Command { get; init; }
    public required long TimeoutMs { get; init; }
    public required bool KeepSandbox { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public IReadOnlyDictionary<string, string>? SourceMetadata { get; init; }
    public required IReadOnlyList<CollectItem> Artifacts { get; init; }
    public required RunAllowance Allowance { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateSlug { get; init; }
    public required string TemplateVersion { get; init; }
    public required string TemplateVersionId { get; init; }
    public string? WarmSandboxId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public string? ArchiveSha256 { get; init; }
    public long? ArchiveSizeBytes { get; init; }
    public string? ArchiveKey { get; init; }
    public DateTimeOffset? UploadedAt { get; init; }
    public string? SandboxId { get; init; }
    public string? CommandId { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public int? ExitCode { get; init; }
    public required IReadOnlyList<string> ArtifactIds { get; init; }
    public required IReadOnlyList<CollectFailure> ArtifactErrors { get; init; }
    public string? CleanupStatus { get; init; }
    public string? FailureReason { get; init; }
    public string? FailureClass { get; init; }
    public string? FailureMessage { get; init; }
    public bool? OrchestrationSucceeded { get; init; }
    public string? ClaimedBy { get; init; }
    public required long LastSeq { get; init; }
    public required long OutputSeq { get; init; }
    public required long OutputBytes { get; init; }
    public required bool OutputTruncated { get; init; }
    public string? EvidenceKey { get; init; }
    public string? EvidenceSha256 { get; init; }
    public DateTimeOffset? ClosedAt { get; init; }

    public bool IsFinal => WorkspaceRunStatus.IsFinal(Status);
}

/// <summary>How a run ends.</summary>
/// <param name="Status">A final status.</param>
/// <param name="FailureReason">One of <see cref="WorkspaceRunFailure"/>, for <c>failed</c>.</param>
/// <param name="FailureMessage">For people; no host path, no stack trace.</param>
public sealed record WorkspaceRunEnd(string Status, DateTimeOffset FinishedAt, string? FailureReason = null, string? FailureMessage = null);

/// <summary>Where a run's evidence is.</summary>
public sealed record StoredEvidence(string Key, string Sha256);

/// <summary>Filter of a list (docs/reference/api.md 10.7).</summary>
public sealed record WorkspaceRunFilter
{
    public string? ProjectId { get; init; }
    public string? Status { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public ListPosition? After { get; init; }
    public required int Limit { get; init; }
}

/// <summary>A staged upload's row (docs/reference/api.md 10.5).</summary>
public sealed record ArchiveTransferRow(
    string Id, string RunId, string Status, string Sha256, long SizeBytes, string? ObjectKey, string? ReceivedSha256, long? ReceivedBytes,
    DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt);
