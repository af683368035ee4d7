namespace CrowNest.Platform.Storage;

/// <summary>
/// Form of a key: segments of <c>A-Z a-z 0-9 . _ -</c> joined by <c>/</c>, none of them empty or beginning with a dot, at most 512
/// characters, at most 255 in a segment. It is a legal file path below any root and needs no escaping in a URL.
/// </summary>
public static class ObjectKey
{
    private const int MaxLength = 512;
    private const int MaxSegmentLength = 255;

    /// <summary>Key of a finished command's log (docs/protocols.md 5).</summary>
    public static string CommandLog(string orgId, string commandId) => $"logs/{orgId}/{commandId}";

    /// <summary>Key of an artifact; opaque to callers, unique, without any path of theirs (docs/reference/api.md 7.1).</summary>
    public static string Artifact(string orgId, string artifactId) => $"artifacts/{orgId}/{artifactId}";

    /// <summary>Key of an uploaded archive; <paramref name="attempt"/> keeps uploads of one run apart.</summary>
    public static string RunArchive(string orgId, string runId, string attempt) => $"archives/{orgId}/{runId}/{attempt}";

    /// <summary>Key of a run's evidence; what is stored under one is never replaced, so every <paramref name="attempt"/> has its own.</summary>
    public static string RunEvidence(string orgId, string runId, string attempt) => $"evidence/{orgId}/{runId}/{attempt}";

    public static bool IsValid(string? key)
    {
        if (string.IsNullOrEmpty(key) || key.Length > MaxLength)
        {
            return false;
        }

        var segmentLength = 0;
        foreach (var c in key)
        {
            var isLegal = char.IsAsciiLetterOrDigit(c) || c is '_' or '-' || (segmentLength > 0 && c is '.' or '/');
            segmentLength = c == '/' ? 0 : segmentLength + 1;
            if (!isLegal || segmentLength > MaxSegmentLength)
            {
                return false;
            }
        }

        return segmentLength > 0;
    }

    /// <exception cref="ArgumentException">The key is not legal.</exception>
    public static void Validate(string? key)
    {
        if (!IsValid(key))
        {
            throw new ArgumentException("Not a legal object key.", nameof(key));
        }
    }

    /// <summary>For <see cref="IObjectStore.ListAsync"/>: empty, or what a legal key can begin with.</summary>
    /// <exception cref="ArgumentException">No key begins with it.</exception>
    public static void ValidatePrefix(string? prefix)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (prefix.Length > 0 && !IsValid(prefix.EndsWith('/') ? prefix[..^1] : prefix))
        {
            throw new ArgumentException("No legal object key begins with this.", nameof(prefix));
        }
    }
}
