namespace CrowNest.Platform.Tenancy;

/// <summary>Groups the artifacts of one agent's work over several sandboxes (docs/reference/stateset.md 3.5).</summary>
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
