using CrowNest.Contracts;

namespace CrowNest.Platform.WorkspaceRuns;

public static class WorkspaceRunMapping
{
    /// <summary>The row as the API shows it (docs/reference/api.md 10.1).</summary>
    public static WorkspaceRun ToWorkspaceRun(this WorkspaceRunRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        return new WorkspaceRun
        {
            Id = row.Id,
            OrgId = row.OrgId,
            ProjectId = row.ProjectId,
            Status = row.Status,
            Command = row.Command,
            KeepSandbox = row.KeepSandbox,
            Metadata = row.Metadata,
            TemplateId = row.TemplateId,
            TemplateSlug = row.TemplateSlug,
            TemplateVersion = row.TemplateVersion,
            TemplateVersionId = row.TemplateVersionId,
            CreatedAt = row.CreatedAt,
            Archive = row.ToArchive(),
            UploadedAt = row.UploadedAt,
            SandboxId = row.SandboxId,
            CommandId = row.CommandId,
            StartedAt = row.StartedAt,
            FinishedAt = row.FinishedAt,
            DurationMs = DurationMs(row.StartedAt, row.FinishedAt),
            ExitCode = row.ExitCode,
            TimeoutMs = row.TimeoutMs,
            SourceMetadata = row.SourceMetadata,
            ArtifactIds = row.IsFinal ? row.ArtifactIds : null,
            ArtifactErrors = row.IsFinal ? row.ToArtifactErrors() : null,
            CleanupStatus = row.CleanupStatus,
            EnvKeys = [],
            EvidenceAvailable = row.EvidenceKey is not null,
            FailureReason = row.FailureReason,
            FailureClass = row.FailureClass,
            OrchestrationSucceeded = row.OrchestrationSucceeded,
            FailureMessage = row.FailureMessage,
        };
    }

    internal static WorkspaceRunArchive? ToArchive(this WorkspaceRunRow row) =>
        row is { ArchiveSha256: { } sha256, ArchiveSizeBytes: { } size } ? new WorkspaceRunArchive(sha256, size, row.UploadedAt) : null;

    internal static CollectError[] ToArtifactErrors(this WorkspaceRunRow row) =>
        [.. row.ArtifactErrors.Select(e => new CollectError(e.Code, e.Message, e.Path))];

    internal static long? DurationMs(DateTimeOffset? startedAt, DateTimeOffset? finishedAt) =>
        startedAt is { } start && finishedAt is { } end ? (long)(end - start).TotalMilliseconds : null;
}
