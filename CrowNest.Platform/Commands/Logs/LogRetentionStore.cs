using Npgsql;

namespace CrowNest.Platform.Commands.Logs;

/// <summary>Until when a plan keeps output.</summary>
/// <param name="FinishedBefore">Output of commands that ended earlier goes.</param>
public sealed record LogCutoff(string Plan, DateTimeOffset FinishedBefore);

/// <summary>
/// Lets go of the output of commands that ended long ago (docs/reference/api.md 2.16, "log retention"). The command itself stays, and says
/// that its output is not all there; its log begins behind its end, which makes reading it a gap rather than nothing.
/// </summary>
public sealed class LogRetentionStore(NpgsqlDataSource database)
{
    /// <summary>Lets go of some. The object, which nothing needs any more, is left to those who sweep.</summary>
    /// <param name="others">Cutoff of plans that are not among <paramref name="cutoffs"/>.</param>
    /// <param name="max">Most at once.</param>
    /// <returns>How many; fewer than <paramref name="max"/> when these were the last.</returns>
    public async Task<int> ExpireAsync(
        IReadOnlyCollection<LogCutoff> cutoffs, DateTimeOffset others, int max, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(cutoffs);
        await using var sql = database.CreateCommand("""
            WITH due AS (
                SELECT c.id FROM commands c
                JOIN organizations o ON o.id = c.org_id
                LEFT JOIN unnest(@plans, @times) AS p (plan, finished_before) ON lower(p.plan) = lower(o.plan)
                WHERE c.last_seq > 0 AND c.oldest_seq <= c.last_seq
                    AND c.finished_at < @latest AND c.finished_at < coalesce(p.finished_before, @others)
                LIMIT @max FOR UPDATE OF c SKIP LOCKED)
            UPDATE commands c SET oldest_seq = c.last_seq + 1, log_object_key = NULL, stdout = '', stderr = '',
                stdout_truncated = c.stdout_truncated OR coalesce(octet_length(c.stdout), 0) > 0,
                stderr_truncated = c.stderr_truncated OR coalesce(octet_length(c.stderr), 0) > 0
            FROM due WHERE c.id = due.id
            """);
        sql.Parameters.AddWithValue("plans", cutoffs.Select(c => c.Plan).ToArray());
        sql.Parameters.AddWithValue("times", cutoffs.Select(c => c.FinishedBefore).ToArray());
        sql.Parameters.AddWithValue("latest", cutoffs.Select(c => c.FinishedBefore).Append(others).Max());
        sql.Parameters.AddWithValue("others", others);
        sql.Parameters.AddWithValue("max", max);
        return await sql.ExecuteNonQueryAsync(cancellationToken);
    }
}
