namespace CrowNest.Contracts;

/// <summary>An API key without its secret (docs/reference/api.md 13).</summary>
public sealed record ApiKey
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string Name { get; init; }

    /// <summary>First characters of the secret, for people.</summary>
    public required string Prefix { get; init; }
    public required string Last4 { get; init; }
    public required IReadOnlyList<string> Scopes { get; init; }
    public required string CreatedByUserId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Projects it is restricted to; absent: all of its organization.</summary>
    public IReadOnlyList<string>? ProjectIds { get; init; }
    public DateTimeOffset? RevokedAt { get; init; }

    /// <summary>Accurate to a minute.</summary>
    public DateTimeOffset? LastUsedAt { get; init; }
}

public sealed record ApiKeyEnvelope(ApiKey ApiKey);

/// <param name="Secret">Shown only now.</param>
public sealed record CreatedApiKey(ApiKey ApiKey, string Secret);

/// <summary>Body of <c>POST /v1/api-keys</c>.</summary>
public sealed record CreateApiKeyRequest
{
    public string? Name { get; init; }

    /// <summary>At least one, all of <see cref="Contracts.Scopes.All"/>.</summary>
    public IReadOnlyList<string?>? Scopes { get; init; }
    public IReadOnlyList<string?>? ProjectIds { get; init; }
}
