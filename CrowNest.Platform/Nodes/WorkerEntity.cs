namespace CrowNest.Platform.Nodes;

/// <summary>A node. Its lease decides who may write the state of its sandboxes (docs/architecture.md, "What fails").</summary>
public sealed class WorkerEntity
{
    public required string Id { get; set; }

    /// <summary>Where the API reaches its internal API.</summary>
    public required string Url { get; set; }
    public required string Runtime { get; set; }
    public DateTimeOffset StartedAt { get; set; }
    public DateTimeOffset LeaseExpiresAt { get; set; }
}
