using CrowNest.Platform.Tenancy;

namespace CrowNest.Platform.Artifacts;

/// <summary>An artifact row.</summary>
public sealed record ArtifactRow
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string SandboxId { get; init; }

    /// <summary>One of <see cref="ArtifactStates"/>.</summary>
    public required string State { get; init; }
    public required string Name { get; init; }
    public required string ObjectKey { get; init; }

    /// <summary>Size and lower-case hex SHA-256 of the stored bytes; set unless <c>storing</c>.</summary>
    public long? SizeBytes { get; init; }
    public string? Sha256 { get; init; }
    public required string ContentType { get; init; }
    public string? SourcePath { get; init; }
    public string? RemotePath { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public string? SessionId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset RetentionExpiresAt { get; init; }
    public DateTimeOffset? DeletedAt { get; init; }
}

/// <summary>What is written before an export begins.</summary>
public sealed record NewArtifact
{
    public required string Id { get; init; }
    public required string SandboxId { get; init; }
    public required string Name { get; init; }
    public required string ObjectKey { get; init; }
    public required string ContentType { get; init; }

    /// <summary>Absolute workspace path; null for what was never a file.</summary>
    public string? SourcePath { get; init; }
    public string? RemotePath { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public string? SessionId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset RetentionExpiresAt { get; init; }
}

/// <summary>What became of an insert.</summary>
/// <param name="Added">The artifact is <c>storing</c>.</param>
/// <param name="SandboxState">Stored state of the sandbox; <c>expiring</c> when it is past its deadline.</param>
/// <param name="StoredBytes">What the organization keeps already; null unless a ceiling was given.</param>
public sealed record ArtifactInsert(bool Added, string SandboxState, string? WorkerId, long? StoredBytes);

/// <summary>Filter of a list (docs/reference/stateset.md 3.4).</summary>
public sealed record ArtifactFilter
{
    public string? SandboxId { get; init; }
    public string? ProjectId { get; init; }
    public string? SessionId { get; init; }
    public string? RemotePath { get; init; }
    public string? RemotePathPrefix { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public ListPosition? After { get; init; }
    public required int Limit { get; init; }
}

/// <summary>A tombstone whose bytes are still in storage.</summary>
public sealed record UnremovedObject(string ArtifactId, string ObjectKey);
