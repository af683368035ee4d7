namespace CrowNest.Platform.Tenancy;

public sealed class Organization
{
    public required string Id { get; set; }
    public required string Name { get; set; }

    /// <summary>Name of a configured plan; unknown counts as <c>free</c> (docs/reference/api.md 2.16).</summary>
    public required string Plan { get; set; }
    public DateTimeOffset? SuspendedAt { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

public sealed class User
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string Name { get; set; }

    /// <summary><c>owner</c> or <c>admin</c>.</summary>
    public required string Role { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

public sealed class ProjectEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string Name { get; set; }

    /// <summary>The one used when a request names none; exactly one per organization.</summary>
    public bool IsDefault { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

public sealed class ApiKeyEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string Name { get; set; }

    /// <summary>First characters of the secret, for people.</summary>
    public required string Prefix { get; set; }
    public required string Last4 { get; set; }

    /// <summary>SHA-256 of the secret, which is random enough to need no slow hash. The secret itself is never stored.</summary>
    public required byte[] SecretHash { get; set; }
    public required string[] Scopes { get; set; }

    /// <summary>Projects the key is restricted to; null: all of its organization.</summary>
    public string[]? ProjectIds { get; set; }
    public required string CreatedByUserId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
    public DateTimeOffset? LastUsedAt { get; set; }
}
