using CrowNest.Contracts;

namespace CrowNest.Dashboard.Files;

/// <summary>Paths of a workspace as addresses of the page carry them: absolute, without <c>.</c>, <c>..</c> or doubled slashes.</summary>
internal static class ShownPath
{
    private const string Inside = Limits.Workspace + "/";

    /// <summary>What an address names; the workspace itself when it names nothing inside it.</summary>
    public static string Clean(string? path)
    {
        if (string.IsNullOrEmpty(path))
            return Limits.Workspace;
        var clean = Normalize(path.StartsWith('/') ? path : Inside + path);
        return clean.StartsWith(Inside, StringComparison.Ordinal) ? clean : Limits.Workspace;
    }

    /// <summary>What a person typed in a folder: a name, a path from there, or an absolute path. The API decides on it.</summary>
    public static string Resolve(string folder, string typed) =>
        Normalize(typed.StartsWith('/') ? typed : $"{folder}/{typed}");

    public static string ParentOf(string path) => path.LastIndexOf('/') is > 0 and var slash ? path[..slash] : path;

    public static string NameOf(string path) => path[(path.LastIndexOf('/') + 1)..];

    /// <summary>Path below the workspace; empty for the workspace itself.</summary>
    public static string Relative(string path) => path.StartsWith(Inside, StringComparison.Ordinal) ? path[Inside.Length..] : "";

    /// <summary>The workspace, and every folder down to the path.</summary>
    public static IEnumerable<string> Crumbs(string path)
    {
        yield return Limits.Workspace;
        for (var slash = path.IndexOf('/', Inside.Length - 1); slash >= 0; slash = path.IndexOf('/', slash + 1))
        {
            if (slash >= Inside.Length)
                yield return path[..slash];
        }

        if (path.Length > Limits.Workspace.Length)
            yield return path;
    }

    private static string Normalize(string path)
    {
        var segments = new List<string>();
        foreach (var segment in path.Split('/'))
        {
            if (segment is "" or ".")
                continue;
            if (segment != "..")
                segments.Add(segment);
            else if (segments.Count > 0)
                segments.RemoveAt(segments.Count - 1);
        }

        return "/" + string.Join('/', segments);
    }
}
