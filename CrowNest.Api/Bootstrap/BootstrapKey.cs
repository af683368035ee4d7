using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace CrowNest.Api.Bootstrap;

/// <summary>Secret of the first API key.</summary>
internal static partial class BootstrapKey
{
    /// <summary>Variable that gives its value.</summary>
    public const string Variable = "CROWNEST_BOOTSTRAP_API_KEY";

    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    private const int MinDistinct = 8;

    /// <summary>A new one (docs/reference/api.md 13).</summary>
    public static string Generate() => $"cn_live_{RandomNumberGenerator.GetString(Alphabet, 40)}";

    /// <summary>What is wrong with a given value; null when it will do.</summary>
    public static string? Problem(string secret) =>
        !Form().IsMatch(secret) ? $"{Variable} must have 32 to 200 characters of A-Z a-z 0-9 _ -, for example cn_live_ and 40 random ones."
        : secret.Distinct().Count() < MinDistinct
            ? $"{Variable} is too easy to guess: it must have at least {MinDistinct} different characters."
        : null;

    [GeneratedRegex("^[A-Za-z0-9_-]{32,200}\\z")]
    private static partial Regex Form();
}

/// <summary>What the first start is told.</summary>
internal sealed class BootstrapOptions
{
    /// <summary>Value of <see cref="BootstrapKey.Variable"/>.</summary>
    public string? ApiKey { get; set; }
}
