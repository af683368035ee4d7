namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>A staged upload (docs/reference/api.md 10.5).</summary>
public sealed class ArchiveTransferEntity
{
    public required string Id { get; set; }
    public required string RunId { get; set; }
    public required string Status { get; set; }
    public required string Sha256 { get; set; }
    public long SizeBytes { get; set; }

    /// <summary>Where the bytes last uploaded are, and what they are.</summary>
    public string? ObjectKey { get; set; }
    public string? ReceivedSha256 { get; set; }
    public long? ReceivedBytes { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset ExpiresAt { get; set; }
}
