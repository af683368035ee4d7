using CrowNest.Contracts;

namespace CrowNest.Platform.Sandboxes;

/// <summary>
/// The lexical part of docs/reference/api.md 2.13. Links and what exists are decided inside the sandbox, beneath its own mount of the
/// workspace.
/// </summary>
public static class WorkspacePath
{
    /// <summary>Longest path the kernel takes, with its end mark.</summary>
    public const int MaxBytes = 4095;

    /// <summary>
    /// The absolute form of <paramref name="path"/> without <c>.</c>, <c>..</c> and doubled slashes; a relative one starts at
    /// <c>/workspace</c>. null when it ends outside of <c>/workspace</c>.
    /// </summary>
    public static string? Normalize(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var parts = new List<string>();
        var full = path.StartsWith('/') ? path : $"{Limits.Workspace}/{path}";
        foreach (var part in full.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == "..")
            {
                // As in the kernel, the parent of the root is the root.
                parts.RemoveRange(Math.Max(0, parts.Count - 1), Math.Min(1, parts.Count));
            }
            else if (part != ".")
            {
                parts.Add(part);
            }
        }

        var normal = "/" + string.Join('/', parts);
        return normal == Limits.Workspace || normal.StartsWith(Limits.Workspace + "/", StringComparison.Ordinal) ? normal : null;
    }

    /// <summary>What <paramref name="normal"/>, a normalized path, is below the workspace; empty for the workspace itself.</summary>
    public static string Below(string normal)
    {
        ArgumentNullException.ThrowIfNull(normal);
        return normal.Length > Limits.Workspace.Length ? normal[(Limits.Workspace.Length + 1)..] : "";
    }
}
