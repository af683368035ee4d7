using CrowNest.Platform.Commands;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>A workspace run (docs/reference/api.md 10).</summary>
public sealed class WorkspaceRunEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string ProjectId { get; set; }

    /// <summary>See <see cref="WorkspaceRunStates"/>.</summary>
    public required string Status { get; set; }
    public required string Command { get; set; }
    public long TimeoutMs { get; set; }
    public bool KeepSandbox { get; set; }
    public required string Metadata { get; set; }
    public string? SourceMetadata { get; set; }

    /// <summary>List of <see cref="CollectItem"/>.</summary>
    public required string Artifacts { get; set; }

    /// <summary>A <see cref="RunAllowance"/>.</summary>
    public required string Allowance { get; set; }
    public required string TemplateId { get; set; }
    public required string TemplateVersionId { get; set; }

    /// <summary>The live sandbox that the caller named; null: one of its own.</summary>
    public string? WarmSandboxId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public string? ArchiveSha256 { get; set; }
    public long? ArchiveSizeBytes { get; set; }
    public string? ArchiveKey { get; set; }
    public DateTimeOffset? UploadedAt { get; set; }
    public string? SandboxId { get; set; }
    public string? CommandId { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public int? ExitCode { get; set; }
    public string[] ArtifactIds { get; set; } = [];

    /// <summary>List of <see cref="CollectFailure"/>.</summary>
    public required string ArtifactErrors { get; set; }
    public string? CleanupStatus { get; set; }
    public string? FailureReason { get; set; }
    public string? FailureClass { get; set; }
    public string? FailureMessage { get; set; }
    public bool? OrchestrationSucceeded { get; set; }

    /// <summary>The worker that carries it; only that one writes while its lease runs.</summary>
    public string? ClaimedBy { get; set; }

    /// <summary><c>seq</c> of the last event.</summary>
    public long LastSeq { get; set; }

    /// <summary>How much of the command's log has become events: its last <c>seq</c>, and bytes.</summary>
    public long OutputSeq { get; set; }
    public long OutputBytes { get; set; }
    public bool OutputTruncated { get; set; }
    public string? EvidenceKey { get; set; }
    public string? EvidenceSha256 { get; set; }

    /// <summary>Set with the <c>terminal</c> event: nothing is left to do for this run.</summary>
    public DateTimeOffset? ClosedAt { get; set; }
}

/// <summary>An event of a run; never changed, never removed before its run.</summary>
public sealed class WorkspaceRunEventEntity
{
    public required string RunId { get; set; }
    public long Seq { get; set; }

    /// <summary>The wire's JSON without <c>seq</c>; bytes, because output may hold what <c>text</c> and <c>jsonb</c> cannot.</summary>
    public required byte[] Event { get; set; }
}
