namespace CrowNest.Platform.Tenancy;

/// <summary>Something that counts (docs/reference/api.md 12). Rows are only ever added.</summary>
public sealed class UsageEventEntity
{
    public long Id { get; set; }
    public required string OrgId { get; set; }
    public string? ProjectId { get; set; }

    /// <summary>A metric of docs/reference/api.md 12.</summary>
    public required string Metric { get; set; }
    public double Amount { get; set; }
    public string? ResourceId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}
