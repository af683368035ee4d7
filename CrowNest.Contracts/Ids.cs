using System.Security.Cryptography;
using System.Text;

namespace CrowNest.Contracts;

/// <summary>Prefixes and form of identifiers (docs/reference/api.md 2.10): <c>prefix_suffix</c>, opaque to callers.</summary>
public static class Ids
{
    public const string Organization = "org";
    public const string Project = "prj";
    public const string User = "usr";
    public const string ApiKey = "key";
    public const string Sandbox = "sbx";
    public const string Command = "cmd";
    public const string Artifact = "art";
    public const string Template = "tpl";
    public const string TemplateVersion = "tplv";
    public const string Worker = "wrk";
    public const string Session = "ses";
    public const string AgentSession = "ases";
    public const string WorkspaceRun = "wsr";
    public const string Upload = "upl";
    public const string UrlSigningKey = "usk";
    public const string EvidenceKey = "evk";

    /// <summary>Characters of a generated suffix; 24 of 36 give 124 bits.</summary>
    private const int SuffixLength = 24;

    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

    /// <summary>A new unguessable id with the given prefix.</summary>
    public static string New(string prefix) => $"{prefix}_{RandomNumberGenerator.GetString(Alphabet, SuffixLength)}";

    /// <summary>The id that <paramref name="origin"/> always gives: a second attempt finds what the first one left. As secret as that.</summary>
    public static string Derive(string prefix, string origin) => string.Create(
        prefix.Length + 1 + SuffixLength, (prefix, origin),
        static (id, from) =>
        {
            from.prefix.CopyTo(id);
            id[from.prefix.Length] = '_';
            var digest = SHA256.HashData(Encoding.UTF8.GetBytes(from.origin));
            for (var i = 0; i < SuffixLength; i++)
            {
                id[from.prefix.Length + 1 + i] = Alphabet[digest[i] % Alphabet.Length];
            }
        });

    /// <summary>Whether <paramref name="id"/> has the given prefix and the legal form of H15; a malformed id names nothing.</summary>
    public static bool IsValid(string? id, string prefix)
    {
        if (id is null || id.Length < prefix.Length + 2 || id.Length > 128 || id[prefix.Length] != '_'
            || !id.StartsWith(prefix, StringComparison.Ordinal))
        {
            return false;
        }

        var suffix = id.AsSpan(prefix.Length + 1);
        if (!char.IsAsciiLetterOrDigit(suffix[0]))
        {
            return false;
        }

        foreach (var c in suffix)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '-'))
            {
                return false;
            }
        }

        return true;
    }
}
