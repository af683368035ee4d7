namespace CrowNest.Contracts;

/// <summary>A public key on the curve P-256 (RFC 7517, RFC 7518 6.2.1).</summary>
/// <param name="X">Coordinates in base64url, like <paramref name="Y"/>.</param>
public sealed record JsonWebKey(string Kty, string Crv, string X, string Y, string Kid, string Use, string Alg);

/// <summary>Answer of <c>GET /.well-known/jwks.json</c>.</summary>
public sealed record JsonWebKeySet(IReadOnlyList<JsonWebKey> Keys);
