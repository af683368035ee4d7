namespace CrowNest.Platform.Sandboxes;

public sealed class SandboxEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string ProjectId { get; set; }
    public required string TemplateId { get; set; }
    public required string TemplateVersionId { get; set; }

    /// <summary>Stored state, see <see cref="SandboxStates"/>; <c>running</c> and <c>idle</c> are derived from its commands.</summary>
    public required string State { get; set; }
    public string? WorkerId { get; set; }
    public string? ContainerId { get; set; }
    public string? Runtime { get; set; }
    public required string Network { get; set; }
    public double Cpus { get; set; }
    public int MemoryMb { get; set; }
    public long TtlMs { get; set; }
    public DateTimeOffset ExpiresAt { get; set; }

    /// <summary>Flat string map as <c>jsonb</c>.</summary>
    public required string Metadata { get; set; }
    public bool? StartedWarm { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? ReadyAt { get; set; }
    public DateTimeOffset? DestroyedAt { get; set; }
    public string? DestroyedReason { get; set; }
    public string? FailureMessage { get; set; }
}
