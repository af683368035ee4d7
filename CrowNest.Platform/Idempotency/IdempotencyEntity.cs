namespace CrowNest.Platform.Idempotency;

/// <summary>A request under an <c>Idempotency-Key</c> (docs/reference/api.md 2.8).</summary>
public sealed class IdempotencyEntity
{
    /// <summary>SHA-256 of organization, credential, method, path and key.</summary>
    public required byte[] Id { get; set; }

    /// <summary>SHA-256 of what the request asked for.</summary>
    public required byte[] Fingerprint { get; set; }

    /// <summary>Sandbox or command that the request made: lets a retry find it when the instance that ran the request is gone.</summary>
    public string? ResourceId { get; set; }
    public int? ResponseStatus { get; set; }
    public byte[]? ResponseBody { get; set; }

    /// <summary>While this lies ahead and no response is stored, the original is still executing.</summary>
    public DateTimeOffset LockedUntil { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}
