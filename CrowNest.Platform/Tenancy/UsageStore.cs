using CrowNest.Platform.Database;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.Tenancy;

/// <summary>
/// What counts (docs/reference/api.md 12). Committed lazily: the answer to the request that is counted waits for no disk of its own.
/// </summary>
public sealed class UsageStore(NpgsqlDataSource database)
{
    /// <param name="metric">One of docs/reference/api.md 12, for example <c>file_bytes_written</c>.</param>
    public async Task RecordAsync(
        string orgId, string projectId, string metric, double amount, string? resourceId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            INSERT INTO usage_events (org_id, project_id, metric, amount, resource_id, created_at)
            VALUES (@org, @project, @metric, @amount, @resource, @now) RETURNING {LazyCommit.Sql}
            """);
        sql.Parameters.AddWithValue("org", orgId);
        sql.Parameters.AddWithValue("project", projectId);
        sql.Parameters.AddWithValue("metric", metric);
        sql.Parameters.AddWithValue("amount", amount);
        sql.Parameters.Add(new("resource", NpgsqlDbType.Text) { Value = (object?)resourceId ?? DBNull.Value });
        sql.Parameters.AddWithValue("now", now);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }
}
