using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Api.Auth;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Http;

/// <summary>
/// Links that work on their own until they expire (api.md 2.15). A link acts as the credential that made it: when that is revoked, or
/// loses the resource, the link dies with it.
/// </summary>
internal sealed class SignedUrls(IOptions<DeploymentOptions> deployment, PublicUrls urls, TimeProvider time)
{
    private const string Credential = "credential";
    private const string Expires = "expires";
    private const string Signature = "signature";

    private readonly byte[] _key = HKDF.DeriveKey(
        HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(deployment.Value.DeploymentSecret), 32, info: "crownest signed urls"u8.ToArray());

    /// <summary>An absolute GET link.</summary>
    /// <param name="path">Below the base URL, for example <c>/v1/commands/cmd_1/logs/download</c>.</param>
    public (string Url, DateTimeOffset ExpiresAt) Link(Caller caller, string path, TimeSpan lifetime)
    {
        var expires = time.GetUtcNow().Add(lifetime).ToUnixTimeSeconds();
        var signature = Sign(HttpMethods.Get, path, caller.CredentialId, expires);
        var query = $"?{Credential}={caller.CredentialId}&{Expires}={expires.ToString(CultureInfo.InvariantCulture)}&{Signature}={signature}";
        return (urls.Link(path + query), DateTimeOffset.FromUnixTimeSeconds(expires));
    }

    /// <summary>Whether the request tries to use a signature at all.</summary>
    public static bool IsSigned(HttpRequest request) => request.Query.ContainsKey(Signature);

    /// <summary>The credential in whose name an unexpired, untampered link speaks; else null.</summary>
    public string? Verify(HttpRequest request)
    {
        var credential = (string?)request.Query[Credential] ?? "";
        if (!long.TryParse(request.Query[Expires], NumberStyles.None, CultureInfo.InvariantCulture, out var expires)
            || expires <= time.GetUtcNow().ToUnixTimeSeconds())
        {
            return null;
        }

        var expected = Sign(request.Method, request.Path.Value ?? "", credential, expires);
        var given = (string?)request.Query[Signature] ?? "";
        return CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(given)) ? credential : null;
    }

    private string Sign(string method, string path, string credential, long expires)
    {
        var text = string.Create(CultureInfo.InvariantCulture, $"{method}\n{path}\n{credential}\n{expires}");
        return Base64Url.EncodeToString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(text)));
    }
}
