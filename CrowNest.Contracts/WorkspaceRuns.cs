namespace CrowNest.Contracts;

/// <summary>A workspace run: an archive, a command, and what became of them (docs/reference/api.md 10.1).</summary>
public sealed record WorkspaceRun
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }

    /// <summary>One of <see cref="WorkspaceRunStatus"/>.</summary>
    public required string Status { get; init; }
    public required string Command { get; init; }
    public required bool KeepSandbox { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateSlug { get; init; }
    public required string TemplateVersion { get; init; }
    public required string TemplateVersionId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public WorkspaceRunArchive? Archive { get; init; }
    public DateTimeOffset? UploadedAt { get; init; }
    public string? SandboxId { get; init; }
    public string? CommandId { get; init; }

    /// <summary>When it was started, and when it became final.</summary>
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public long? DurationMs { get; init; }

    /// <summary>Only when the command ended by itself.</summary>
    public int? ExitCode { get; init; }
    public required long TimeoutMs { get; init; }
    public IReadOnlyDictionary<string, string>? SourceMetadata { get; init; }

    /// <summary>Once final.</summary>
    public IReadOnlyList<string>? ArtifactIds { get; init; }
    public IReadOnlyList<CollectError>? ArtifactErrors { get; init; }

    /// <summary>One of <see cref="WorkspaceRunCleanup"/>, once started.</summary>
    public string? CleanupStatus { get; init; }

    /// <summary>Always empty: a run takes no environment (docs/reference/api.md 10.1).</summary>
    public required IReadOnlyList<string> EnvKeys { get; init; }
    public required bool EvidenceAvailable { get; init; }
    public string? FailureReason { get; init; }
    public string? FailureClass { get; init; }

    /// <summary>Whether the platform did its part, whatever the command's exit code; once final.</summary>
    public bool? OrchestrationSucceeded { get; init; }

    /// <summary>Why it failed, for people. An addition of this system.</summary>
    public string? FailureMessage { get; init; }
}

public sealed record WorkspaceRunArchive(string Sha256, long SizeBytes, DateTimeOffset? UploadedAt = null);

public sealed record WorkspaceRunResponse(WorkspaceRun WorkspaceRun);

/// <summary>Answer to an upload and to finalize (docs/reference/api.md 10.4, 10.5).</summary>
public sealed record WorkspaceRunArchiveResponse(WorkspaceRunArchive Archive, WorkspaceRun WorkspaceRun);

/// <summary>Body of <c>POST /v1/workspace-runs</c> (docs/reference/api.md 10.3).</summary>
public sealed record CreateWorkspaceRunRequest
{
    public string? Command { get; init; }

    /// <summary>At most <see cref="Limits.CollectEntries"/>.</summary>
    public IReadOnlyList<CollectRequest>? Artifacts { get; init; }
    public bool? KeepSandbox { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
    public IReadOnlyDictionary<string, string>? SourceMetadata { get; init; }
    public string? ProjectId { get; init; }

    /// <summary>A live sandbox to run in; it is not cleaned up.</summary>
    public string? SandboxId { get; init; }
    public string? Template { get; init; }
    public string? TemplateVersionId { get; init; }
    public long? TimeoutMs { get; init; }
}

/// <summary>
/// Body of <c>POST …/archive-transfer</c> and, with the transfer's id, of <c>POST …/archive/finalize</c> (docs/reference/api.md 10.5).
/// </summary>
public sealed record ArchiveTransferRequest
{
    public string? Sha256 { get; init; }
    public long? SizeBytes { get; init; }
    public string? UploadId { get; init; }
}

/// <summary>A staged upload (docs/reference/api.md 10.5).</summary>
public sealed record ArchiveTransfer
{
    public required string Id { get; init; }
    public required string WorkspaceRunId { get; init; }

    /// <summary>One of <see cref="ArchiveTransferStatus"/>.</summary>
    public required string Status { get; init; }
    public required string Method { get; init; }
    public required string UploadUrl { get; init; }
    public required IReadOnlyDictionary<string, string> Headers { get; init; }
    public required string ChecksumAlgorithm { get; init; }
    public required long MaxSizeBytes { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
}

public sealed record ArchiveTransferResponse(ArchiveTransfer Transfer);

/// <summary>Statuses of a staged upload.</summary>
public static class ArchiveTransferStatus
{
    public const string Pending = "pending";
    public const string Uploaded = "uploaded";
    public const string Finalized = "finalized";
    public const string Expired = "expired";
}

/// <summary>Statuses of a run (docs/reference/api.md 10.2).</summary>
public static class WorkspaceRunStatus
{
    public const string AwaitingArchive = "awaiting_archive";
    public const string ArchiveUploaded = "archive_uploaded";
    public const string Starting = "starting";
    public const string Extracting = "extracting";
    public const string Running = "running";
    public const string Collecting = "collecting";
    public const string Succeeded = "succeeded";
    public const string Failed = "failed";
    public const string Canceled = "canceled";

    public static IReadOnlyList<string> All { get; } =
        [AwaitingArchive, ArchiveUploaded, Starting, Extracting, Running, Collecting, Succeeded, Failed, Canceled];

    /// <summary>A final status never changes.</summary>
    public static bool IsFinal(string status) => status is Succeeded or Failed or Canceled;
}

/// <summary>What became of the sandbox of a run.</summary>
public static class WorkspaceRunCleanup
{
    public const string Pending = "pending";
    public const string Succeeded = "succeeded";
    public const string Failed = "failed";

    /// <summary>The sandbox was the caller's, or is kept.</summary>
    public const string NotRequested = "not_requested";
}

/// <summary>Why a run failed (docs/reference/api.md 10.1), and whose doing that is (10.2).</summary>
public static class WorkspaceRunFailure
{
    public const string ArchiveInvalid = "archive_invalid";
    public const string ArchiveTooLarge = "archive_too_large";
    public const string CommandExit = "command_exit";
    public const string ExtractionFailed = "extraction_failed";
    public const string InternalError = "internal_error";
    public const string SandboxConflict = "sandbox_conflict";
    public const string SandboxUnavailable = "sandbox_unavailable";
    public const string Timeout = "timeout";
    public const string UploadMissing = "upload_missing";

    public const string ClassCanceled = "canceled";
    public const string ClassPlatform = "platform";
    public const string ClassUserCommand = "user_command";
    public const string ClassUserInput = "user_input";

    public static string ClassOf(string reason) => reason switch
    {
        CommandExit or Timeout => ClassUserCommand,
        SandboxUnavailable or InternalError => ClassPlatform,
        _ => ClassUserInput,
    };
}

/// <summary>An event of a run (docs/reference/api.md 10.8). <see cref="Type"/> decides which members are there.</summary>
public sealed record WorkspaceRunEvent
{
    /// <summary>One of <see cref="WorkspaceRunEventType"/>.</summary>
    public required string Type { get; init; }

    /// <summary>From 1, contiguous per run.</summary>
    public required long Seq { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public string? Status { get; init; }
    public long? ReceivedBytes { get; init; }
    public long? SizeBytes { get; init; }
    public string? Data { get; init; }
    public string? ArtifactId { get; init; }
    public string? Path { get; init; }
    public CollectError? Error { get; init; }
    public WorkspaceRun? WorkspaceRun { get; init; }
    public string? Code { get; init; }

    /// <summary>Of an <c>error</c>; of a <c>status</c> that waits for something, an addition of this system.</summary>
    public string? Message { get; init; }
}

public static class WorkspaceRunEventType
{
    public const string Status = "status";
    public const string ArchiveProgress = "archive_progress";
    public const string Stdout = "stdout";
    public const string Stderr = "stderr";
    public const string ArtifactCollected = "artifact_collected";
    public const string ArtifactError = "artifact_error";
    public const string Heartbeat = "heartbeat";
    public const string Terminal = "terminal";
    public const string Error = "error";
}

/// <summary>What a run leaves as its proof (docs/reference/api.md 10.9). Members after <see cref="FailureReason"/> are additions.</summary>
public sealed record WorkspaceRunEvidence
{
    public required string WorkspaceRunId { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string Status { get; init; }
    public required string Command { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public required IReadOnlyList<CollectError> ArtifactErrors { get; init; }
    public required IReadOnlyList<string> ArtifactIds { get; init; }
    public required IReadOnlyList<string> EnvKeys { get; init; }

    /// <summary>The one member that may still change, from <c>pending</c> to its result; the digest leaves it out.</summary>
    public required string CleanupStatus { get; init; }
    public required bool OrchestrationSucceeded { get; init; }
    public WorkspaceRunArchive? Archive { get; init; }
    public string? CommandId { get; init; }
    public string? SandboxId { get; init; }
    public int? ExitCode { get; init; }
    public long? DurationMs { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public long? TimeoutMs { get; init; }
    public IReadOnlyDictionary<string, string>? SourceMetadata { get; init; }
    public string? FailureClass { get; init; }
    public string? FailureReason { get; init; }

    public string? FailureMessage { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateSlug { get; init; }
    public required string TemplateVersion { get; init; }
    public required string TemplateVersionId { get; init; }

    /// <summary>The collected files with the digests of their bytes.</summary>
    public required IReadOnlyList<EvidenceArtifact> Artifacts { get; init; }

    /// <summary>The command printed more than the run's events keep; its log has the end of it.</summary>
    public bool? OutputTruncated { get; init; }
    public required EvidenceTerminalEvent TerminalEvent { get; init; }

    /// <summary>
    /// Lower-case hex SHA-256 of the canonical JSON (RFC 8785) of all other members but <see cref="CleanupStatus"/>; absent in what it
    /// is computed over.
    /// </summary>
    public string? EvidenceSha256 { get; init; }
}

public sealed record EvidenceArtifact(string Id, string Path, string Name, long SizeBytes, string Sha256);

public sealed record EvidenceTerminalEvent(long Seq, DateTimeOffset CreatedAt, string Status);

public sealed record WorkspaceRunEvidenceResponse(WorkspaceRunEvidence Evidence);
