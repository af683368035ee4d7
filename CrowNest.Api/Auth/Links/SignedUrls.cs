using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Auth.Links;

/// <summary>The one request that a link is good for.</summary>
/// <param name="Path">Below the base URL, for example <c>/v1/commands/cmd_1/logs/download</c>.</param>
/// <param name="Options">Query parameters; those without a value are left out.</param>
internal sealed record LinkTarget(string Method, string Path, params (string Name, string? Value)[] Options);

/// <summary>In whose name a link speaks: exactly one member is set.</summary>
/// <param name="CredentialId">The credential that made it: the link can do what that still can.</param>
/// <param name="OrgId">The organization alone: the link outlives the credential that made it.</param>
internal sealed record LinkBearer(string? CredentialId, string? OrgId);

/// <summary>
/// Links that work on their own until they expire (docs/reference/api.md 2.15). The signature covers method, path and every other parameter
/// of the query, so that a link can be bent to nothing else. Keys: <see cref="SigningKeys"/>.
/// </summary>
internal sealed class SignedUrls(SigningKeys keys, PublicUrls urls, TimeProvider time)
{
    /// <summary>docs/reference/stateset.md 3.3; no link is made for longer, so that a retired key can be forgotten after it.</summary>
    public static readonly TimeSpan LongestLifetime = TimeSpan.FromSeconds(Limits.MaxLinkSeconds);

    private const string Credential = "credential";
    private const string Organization = "org";
    private const string Expires = "expires";
    private const string Key = "kid";
    private const string Signature = "signature";

    /// <summary>An absolute link that acts as the caller's credential, and dies with it.</summary>
    public Task<(string Url, DateTimeOffset ExpiresAt)> LinkAsync(
        Caller caller, LinkTarget target, TimeSpan lifetime, CancellationToken cancellationToken) =>
        LinkAsync((Credential, caller.CredentialId), target, lifetime, cancellationToken);

    /// <summary>An absolute link that belongs to the caller's organization (docs/reference/stateset.md 3.3).</summary>
    public Task<(string Url, DateTimeOffset ExpiresAt)> OpenLinkAsync(
        Caller caller, LinkTarget target, TimeSpan lifetime, CancellationToken cancellationToken) =>
        LinkAsync((Organization, caller.OrgId), target, lifetime, cancellationToken);

    /// <summary>Whether the request tries to use a signature at all.</summary>
    public static bool IsSigned(HttpRequest request) => request.Query.ContainsKey(Signature);

    /// <summary>In whose name an unexpired, untampered link speaks; else null.</summary>
    public async ValueTask<LinkBearer?> VerifyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        if (!long.TryParse(request.Query[Expires], NumberStyles.None, CultureInfo.InvariantCulture, out var expires)
            || expires <= time.GetUtcNow().ToUnixTimeMilliseconds()
            || await keys.FindAsync(request.Query[Key].ToString(), cancellationToken) is not { } key)
        {
            return null;
        }

        var signed = request.Query.Where(p => p.Key != Signature).SelectMany(p => p.Value.Select(v => (p.Key, v)));
        var expected = Encoding.UTF8.GetBytes(Sign(key, request.Method, request.Path.Value ?? "", signed));
        var given = Encoding.UTF8.GetBytes(request.Query[Signature].ToString());
        if (!CryptographicOperations.FixedTimeEquals(expected, given))
        {
            return null;
        }

        var bearer = new LinkBearer(request.Query[Credential], request.Query[Organization]);
        return bearer is { CredentialId: null, OrgId: null } ? null : bearer;
    }

    private async Task<(string Url, DateTimeOffset ExpiresAt)> LinkAsync(
        (string Name, string Value) bearer, LinkTarget target, TimeSpan lifetime, CancellationToken cancellationToken)
    {
        if (lifetime > LongestLifetime)
        {
            throw new ArgumentOutOfRangeException(nameof(lifetime), lifetime, "No key is kept for so long.");
        }

        var key = await keys.CurrentAsync(cancellationToken);
        var expires = time.GetUtcNow().Add(lifetime).ToUnixTimeMilliseconds();
        List<(string Name, string? Value)> query =
        [
            .. target.Options.Where(o => o.Value is not null), (bearer.Name, bearer.Value),
            (Expires, expires.ToString(CultureInfo.InvariantCulture)), (Key, key.Id),
        ];
        query.Add((Signature, Sign(key, target.Method, target.Path, query)));
        return (urls.Link($"{target.Path}?{string.Join('&', query.Select(Pair))}"), DateTimeOffset.FromUnixTimeMilliseconds(expires));
    }

    private static string Sign(SigningKey key, string method, string path, IEnumerable<(string Name, string? Value)> query)
    {
        var pairs = query.Select(Pair).Order(StringComparer.Ordinal);
        var text = $"{method}\n{path}\n{string.Join('&', pairs)}";
        return Base64Url.EncodeToString(HMACSHA256.HashData(key.Secret, Encoding.UTF8.GetBytes(text)));
    }

    private static string Pair((string Name, string? Value) parameter) =>
        $"{Uri.EscapeDataString(parameter.Name)}={Uri.EscapeDataString(parameter.Value ?? "")}";
}
