using CrowNest.Contracts;
using CrowNest.Platform.Database;
using Npgsql;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>
/// Staged uploads of archives (docs/reference/api.md 10.5). A run has at most one that is unfinished: a new one supersedes it.
/// </summary>
public sealed class ArchiveTransferStore(NpgsqlDataSource database)
{
    private const string Columns =
        "u.id, u.run_id, u.status, u.sha256, u.size_bytes, u.object_key, u.received_sha256, u.received_bytes, u.created_at, u.expires_at";

    public async Task<ArchiveTransferRow> InsertAsync(
        string id, string runId, string sha256, long sizeBytes, DateTimeOffset now, DateTimeOffset expiresAt,
        CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH superseded AS (
                UPDATE archive_transfers SET status = '{ArchiveTransferStatus.Expired}', expires_at = @now
                WHERE run_id = @run AND status IN ('{ArchiveTransferStatus.Pending}', '{ArchiveTransferStatus.Uploaded}'))
            INSERT INTO archive_transfers AS u (id, run_id, status, sha256, size_bytes, created_at, expires_at)
            VALUES (@id, @run, '{ArchiveTransferStatus.Pending}', @sha, @size, @now, @expires) RETURNING {Columns}
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("run", runId);
        sql.Parameters.AddWithValue("sha", sha256);
        sql.Parameters.AddWithValue("size", sizeBytes);
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("expires", expiresAt);
        return (await ReadAsync(sql, cancellationToken))!;
    }

    /// <summary>The transfer with this id of that run, in any status; the caller has been shown to own the run.</summary>
    public async Task<ArchiveTransferRow?> FindAsync(string runId, string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"SELECT {Columns} FROM archive_transfers u WHERE u.id = @id AND u.run_id = @run");
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("run", runId);
        return await ReadAsync(sql, cancellationToken);
    }

    /// <summary>Bytes have arrived; the last ones win.</summary>
    /// <param name="began">When they began to arrive, which must have been in time.</param>
    /// <param name="until">They wait until then at least.</param>
    /// <returns>
    /// Key of the object that they replace, empty when there was none; null: the transfer is not open any more, or its run takes no archive.
    /// </returns>
    public async Task<string?> MarkUploadedAsync(
        string id, string objectKey, string sha256, long bytes, DateTimeOffset began, DateTimeOffset until,
        CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH old AS (SELECT id, object_key FROM archive_transfers WHERE id = @id FOR UPDATE)
            UPDATE archive_transfers u SET status = '{ArchiveTransferStatus.Uploaded}', object_key = @key, received_sha256 = @sha,
                received_bytes = @bytes, expires_at = greatest(u.expires_at, @until)
            FROM old
            WHERE u.id = old.id AND u.status IN ('{ArchiveTransferStatus.Pending}', '{ArchiveTransferStatus.Uploaded}')
                AND u.expires_at > @began
                AND EXISTS (SELECT FROM workspace_runs r WHERE r.id = u.run_id AND r.status = '{WorkspaceRunStatus.AwaitingArchive}')
            RETURNING coalesce(old.object_key, '')
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("key", objectKey);
        sql.Parameters.AddWithValue("sha", sha256);
        sql.Parameters.AddWithValue("bytes", bytes);
        sql.Parameters.AddWithValue("began", began);
        sql.Parameters.AddWithValue("until", until);
        return (string?)await sql.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>
    /// Its bytes are to be the run's archive and are not replaced any more; true again for the same bytes, whoever was first. false: others
    /// came, or it is not open.
    /// </summary>
    public async Task<bool> MarkFinalizedAsync(string id, string objectKey, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            UPDATE archive_transfers SET status = '{ArchiveTransferStatus.Finalized}'
            WHERE id = @id AND status IN ('{ArchiveTransferStatus.Uploaded}', '{ArchiveTransferStatus.Finalized}') AND object_key = @key
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("key", objectKey);
        return await sql.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private static async Task<ArchiveTransferRow?> ReadAsync(NpgsqlCommand sql, CancellationToken cancellationToken)
    {
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new ArchiveTransferRow(
                reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), reader.GetInt64(4),
                reader.GetStringOrNull(5), reader.GetStringOrNull(6), reader.GetLongOrNull(7), reader.GetFieldValue<DateTimeOffset>(8),
                reader.GetFieldValue<DateTimeOffset>(9))
            : null;
    }
}
