namespace CrowNest.Platform.Data;

/// <summary>An immutable copy of a file, or the tombstone of one (api.md 7).</summary>
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

    /// <summary>Where the caller files it, relative, <c>/</c>-separated (stateset.md 3.1).</summary>
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

/// <summary>Groups the artifacts of one agent's work over several sandboxes (stateset.md 3.5).</summary>
public sealed class AgentSessionEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string ProjectId { get; set; }
    public string? Name { get; set; }

    /// <summary><c>active</c> or <c>stopped</c>.</summary>
    public required string State { get; set; }
    public string? CurrentSandboxId { get; set; }
    public required string Metadata { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? StoppedAt { get; set; }
}

/// <summary>Something that counts (api.md 12). Rows are only ever added.</summary>
public sealed class UsageEventEntity
{
    public long Id { get; set; }
    public required string OrgId { get; set; }
    public string? ProjectId { get; set; }

    /// <summary>A metric of api.md 12.</summary>
    public required string Metric { get; set; }
    public double Amount { get; set; }
    public string? ResourceId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

/// <summary>
/// A key that signs links. Only its name is here: the key itself is derived from the name and the deployment's secret, so that a copy of
/// the database signs nothing.
/// </summary>
public sealed class UrlSigningKeyEntity
{
    public required string Id { get; set; }
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>From when on it no longer signs; null: the current one.</summary>
    public DateTimeOffset? RetiredAt { get; set; }

    /// <summary>From when on its links are refused.</summary>
    public DateTimeOffset? RefusedAt { get; set; }
}
