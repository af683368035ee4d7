namespace CrowNest.Platform.Artifacts;

/// <summary>An immutable copy of a file, or the tombstone of one (docs/reference/api.md 7).</summary>
public sealed class ArtifactEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string ProjectId { get; set; }
    public required string SandboxId { get; set; }

    /// <summary>See <see cref="ArtifactStates"/>; callers only ever see <c>stored</c>.</summary>
    public required string State { get; set; }
    public required string Name { get; set; }
    public required string ObjectKey { get; set; }
    public long? SizeBytes { get; set; }

    /// <summary>Lower-case hex of the stored bytes.</summary>
    public string? Sha256 { get; set; }
    public required string ContentType { get; set; }
    public string? SourcePath { get; set; }

    /// <summary>Where the caller files it, relative, <c>/</c>-separated (docs/reference/stateset.md 3.1).</summary>
    public string? RemotePath { get; set; }
    public required string Metadata { get; set; }
    public string? SessionId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset RetentionExpiresAt { get; set; }
    public DateTimeOffset? DeletedAt { get; set; }

    /// <summary><c>user_deleted</c>, <c>retention_expired</c>, or <c>abandoned</c>: its export never finished.</summary>
    public string? DeletedReason { get; set; }

    /// <summary>Set once the object is gone from storage; until then the sweep tries again.</summary>
    public DateTimeOffset? BytesRemovedAt { get; set; }
}
