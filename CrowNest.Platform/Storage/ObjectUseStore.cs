using CrowNest.Contracts;
using Npgsql;

namespace CrowNest.Platform.Storage;

/// <summary>
/// Tells which objects no row needs; one query for each form of <see cref="ObjectKey"/>, over one page of keys. An object of an
/// organization that this database does not know is another deployment's, or that of a database which has been replaced: never named here.
/// </summary>
public sealed class ObjectUseStore(NpgsqlDataSource database)
{
    /// <summary>Segments of a key behind the kind of the object.</summary>
    private const string Organization = "split_part(k, '/', 2)";
    private const string Subject = "split_part(k, '/', 3)";

    /// <summary>Archives: a run needs its own until it has been closed for a while, and an upload what may yet be finalized.</summary>
    /// <param name="closedAfter">Archives of runs that were closed later are needed.</param>
    public Task<List<string>> ListUnneededArchivesAsync(
        IReadOnlyCollection<string> keys, DateTimeOffset now, DateTimeOffset closedAfter, CancellationToken cancellationToken) =>
        ListAsync(keys,
            $"""
            EXISTS (SELECT FROM workspace_runs r
                    WHERE r.id = {Subject} AND r.archive_key = k AND (r.closed_at IS NULL OR r.closed_at > @closed))
            OR EXISTS (SELECT FROM archive_transfers u JOIN workspace_runs r ON r.id = u.run_id
                       WHERE u.run_id = {Subject} AND u.object_key = k AND r.status = '{WorkspaceRunStatus.AwaitingArchive}'
                           AND (u.status = '{ArchiveTransferStatus.Finalized}'
                                OR (u.status = '{ArchiveTransferStatus.Uploaded}' AND u.expires_at > @now)))
            """,
            cancellationToken, new("now", now), new("closed", closedAfter));

    /// <summary>Evidence: while a run has none, whoever makes it may be about to name it; afterwards no other ever is.</summary>
    public Task<List<string>> ListUnneededEvidenceAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken) =>
        ListAsync(keys,
            $"""
            EXISTS (SELECT FROM workspace_runs r WHERE r.id = {Subject} AND (r.evidence_key IS NULL OR r.evidence_key = k))
            """,
            cancellationToken);

    /// <summary>Artifacts: a tombstone whose bytes were removed needs none; one that still has them is removed elsewhere.</summary>
    public Task<List<string>> ListUnneededArtifactsAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken) =>
        ListAsync(keys,
            "EXISTS (SELECT FROM artifacts a WHERE a.object_key = k AND (a.state <> 'deleted' OR a.bytes_removed_at IS NULL))",
            cancellationToken);

    /// <summary>Logs: a command needs its own also before its row says that it is stored, until it is past its retention.</summary>
    public Task<List<string>> ListUnneededLogsAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken) =>
        ListAsync(keys,
            $"""
            EXISTS (SELECT FROM commands c WHERE c.id = {Subject} AND k = 'logs/' || c.org_id || '/' || c.id
                    AND (c.last_seq = 0 OR c.oldest_seq <= c.last_seq))
            """,
            cancellationToken);

    private async Task<List<string>> ListAsync(
        IReadOnlyCollection<string> keys, string isNeeded, CancellationToken cancellationToken, params NpgsqlParameter[] parameters)
    {
        await using var sql = database.CreateCommand($"""
            SELECT k FROM unnest(@keys) AS k
            WHERE EXISTS (SELECT FROM organizations o WHERE o.id = {Organization}) AND NOT ({isNeeded})
            """);
        sql.Parameters.AddWithValue("keys", keys.ToArray());
        sql.Parameters.AddRange(parameters);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var unneeded = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            unneeded.Add(reader.GetString(0));
        }

        return unneeded;
    }
}
