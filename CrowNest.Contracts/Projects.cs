namespace CrowNest.Contracts;

/// <summary>A project (docs/reference/api.md 11).</summary>
public sealed record Project(string Id, string OrgId, string Name, DateTimeOffset CreatedAt);
