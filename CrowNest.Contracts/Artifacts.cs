namespace CrowNest.Contracts;

/// <summary>
/// An immutable copy of a file that outlives its sandbox (docs/reference/api.md 7.1; docs/reference/stateset.md 2 for the members after
/// <c>DeletedAt</c>).
/// </summary>
public sealed record Artifact
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string SandboxId { get; init; }
    public required string Name { get; init; }

    /// <summary>Opaque.</summary>
    public required string ObjectKey { get; init; }
    public required long SizeBytes { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public string? ContentType { get; init; }

    /// <summary>Absolute workspace path; absent for what was never a file.</summary>
    public string? SourcePath { get; init; }
    public DateTimeOffset? RetentionExpiresAt { get; init; }

    /// <summary>Only in the answer to a delete.</summary>
    public DateTimeOffset? DeletedAt { get; init; }
    public string? RemotePath { get; init; }

    /// <summary>Lower-case hex, of the stored bytes.</summary>
    public required string Sha256 { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public string? SessionId { get; init; }
}

public sealed record ArtifactResponse(Artifact Artifact);

/// <summary>Body of <c>POST …/artifacts</c> (docs/reference/api.md 7.2, docs/reference/stateset.md 3.1).</summary>
public sealed record CreateArtifactRequest
{
    /// <summary>A file of the sandbox.</summary>
    public string? Path { get; init; }

    /// <summary>1 to 255 characters; default: the base name of <see cref="RemotePath"/>, else of <see cref="Path"/>.</summary>
    public string? Name { get; init; }

    /// <summary>Relative, <c>/</c>-separated; default: <see cref="Path"/> below <c>/workspace</c>.</summary>
    public string? RemotePath { get; init; }

    /// <summary>Default: told from the name.</summary>
    public string? ContentType { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
    public string? SessionId { get; init; }
}

/// <summary>Body of <c>POST …/download-url</c> (docs/reference/stateset.md 3.3).</summary>
/// <param name="ExpiresInSeconds">1 to 604800. Given, the link belongs to the organization and not to the key that made it.</param>
public sealed record CreateArtifactDownloadUrlRequest(long? ExpiresInSeconds = null);

/// <summary>What a download link says of the credential it wants (docs/reference/api.md 6, 7.2).</summary>
public static class DownloadAuthMode
{
    /// <summary>Works with an API key, and on its own as long as the credential that made it.</summary>
    public const string ApiKey = "api_key";

    /// <summary>Works on its own.</summary>
    public const string None = "none";
}
