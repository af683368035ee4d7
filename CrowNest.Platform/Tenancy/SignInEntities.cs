namespace CrowNest.Platform.Tenancy;

/// <summary>A signed-in browser, or a short-lived session of the launcher; its secret is a bearer with all scopes of its user.</summary>
public sealed class SessionEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string UserId { get; set; }
    public required byte[] SecretHash { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset ExpiresAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
}

/// <summary>A one-time link to the dashboard; redeemed by a conditional update of <see cref="UsedAt"/>.</summary>
public sealed class SignInLink
{
    public required byte[] SecretHash { get; set; }
    public required string UserId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset ExpiresAt { get; set; }
    public DateTimeOffset? UsedAt { get; set; }
}
