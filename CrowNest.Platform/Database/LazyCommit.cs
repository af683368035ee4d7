namespace CrowNest.Platform.Database;

/// <summary>
/// Commits that do not wait for the disk. A write-ahead log is one sequence: a later commit that waits makes every earlier one durable
/// too. So a row that nobody is told of before such a later commit need not wait itself, and a request pays for one flush instead of
/// five. What could be lost with the server within the last moments is then only what nobody was told of.
/// </summary>
public static class LazyCommit
{
    /// <summary>An expression for the SELECT or RETURNING list of a statement; it holds for the statement's own transaction.</summary>
    public const string Sql = "set_config('synchronous_commit', 'off', true)";
}
