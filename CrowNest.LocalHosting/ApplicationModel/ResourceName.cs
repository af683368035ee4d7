using System.Text.RegularExpressions;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>The rule for resource names, and what is derived from them.</summary>
internal static partial class ResourceName
{
    private const int MaximumLength = 64;

    public static void Validate(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length > MaximumLength || !Pattern().IsMatch(name))
        {
            throw new ArgumentException(
                $"'{name}' is no resource name: ASCII letters, digits and single hyphens, starting with a letter, at most 64 characters.",
                nameof(name));
        }
    }

    /// <summary><c>deployment-secret</c> → <c>DEPLOYMENT_SECRET</c>.</summary>
    public static string ToVariable(string name) => NotAlphanumeric().Replace(name, "_").ToUpperInvariant();

    [GeneratedRegex("^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$")]
    private static partial Regex Pattern();

    [GeneratedRegex("[^A-Za-z0-9]")]
    private static partial Regex NotAlphanumeric();
}
