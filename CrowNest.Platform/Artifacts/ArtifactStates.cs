namespace CrowNest.Platform.Artifacts;

/// <summary>The stored states of an artifact and every allowed change. <c>deleted</c> is a tombstone and final.</summary>
public static class ArtifactStates
{
    /// <summary>Its bytes are on their way into storage; nobody sees it.</summary>
    public const string Storing = "storing";
    public const string Stored = "stored";
    public const string Deleted = "deleted";

    private static readonly Dictionary<string, string[]> FromStates = new()
    {
        [Stored] = [Storing],
        // An export that never finished is cleared away like an artifact.
        [Deleted] = [Stored, Storing],
    };

    public static IReadOnlyList<string> All { get; } = [Storing, Stored, Deleted];

    /// <summary>States from which <paramref name="to"/> may be entered; empty when it is only entered by an insert.</summary>
    public static string[] From(string to) => FromStates.TryGetValue(to, out var from) ? from : [];
}

/// <summary>Why an artifact is a tombstone.</summary>
public static class ArtifactEnds
{
    public const string UserDeleted = "user_deleted";
    public const string RetentionExpired = "retention_expired";
    public const string Abandoned = "abandoned";
}
