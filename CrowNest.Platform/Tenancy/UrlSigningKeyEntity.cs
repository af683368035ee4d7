namespace CrowNest.Platform.Tenancy;

/// <summary>
/// A key that signs links. Only its name is here: the key itself is derived from the name and the deployment's secret, so that a copy of
/// the database signs nothing.
/// </summary>
public sealed class UrlSigningKeyEntity
{
    public required string Id { get; set; }
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>From when on it no longer signs; null: the current one.</summary>
    public DateTimeOffset? RetiredAt { get; set; }

    /// <summary>From when on its links are refused.</summary>
    public DateTimeOffset? RefusedAt { get; set; }
}
