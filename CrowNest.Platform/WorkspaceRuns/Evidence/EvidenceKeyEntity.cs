namespace CrowNest.Platform.WorkspaceRuns.Evidence;

/// <summary>
/// A key that signs evidence. The row has its name and its public half; the private half is derived from the name and the deployment's
/// secret, so that a copy of the database signs nothing.
/// </summary>
public sealed class EvidenceKeyEntity
{
    public required string Id { get; set; }

    /// <summary>SubjectPublicKeyInfo, for whoever verifies after the secret has changed.</summary>
    public required byte[] PublicKey { get; set; }
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>From when on it no longer signs; null: the current one.</summary>
    public DateTimeOffset? RetiredAt { get; set; }

    /// <summary>From when on nobody is to believe it; null: what it has signed is good.</summary>
    public DateTimeOffset? RevokedAt { get; set; }
}
