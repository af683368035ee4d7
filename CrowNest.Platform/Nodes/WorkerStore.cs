using CrowNest.Platform.Sandboxes;
using Npgsql;

namespace CrowNest.Platform.Nodes;

/// <summary>
/// Leases of workers. The lease is a row and not a Redis key, because it decides who may write a sandbox's state: losing Redis must not
/// look like losing every node.
/// </summary>
public sealed class WorkerStore(NpgsqlDataSource database)
{
    /// <summary>Takes or renews the lease. A worker that comes back under its id simply goes on.</summary>
    public async Task RenewLeaseAsync(
        string workerId, string url, string runtime, DateTimeOffset now, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("""
            INSERT INTO workers (id, url, runtime, started_at, lease_expires_at) VALUES (@id, @url, @runtime, @now, @expires)
            ON CONFLICT (id) DO UPDATE SET url = @url, runtime = @runtime, lease_expires_at = @expires
            """);
        sql.Parameters.AddWithValue("id", workerId);
        sql.Parameters.AddWithValue("url", url);
        sql.Parameters.AddWithValue("runtime", runtime);
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("expires", now + lease);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// A worker stops on purpose: its lease ends with the last deadline of its live sandboxes, which run on meanwhile, or at once when it
    /// has none. Its next start takes them on.
    /// </summary>
    public async Task RetireAsync(string workerId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("""
            UPDATE workers SET lease_expires_at = greatest(@now, (
                SELECT max(expires_at) FROM sandboxes WHERE worker_id = @id AND state = ANY(@live)))
            WHERE id = @id
            """);
        sql.Parameters.AddWithValue("id", workerId);
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("live", SandboxStates.Live);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Workers whose lease has not lapsed, by id, with their internal address.</summary>
    public async Task<Dictionary<string, string>> ListLiveAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("SELECT id, url FROM workers WHERE lease_expires_at > @now");
        sql.Parameters.AddWithValue("now", now);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var workers = new Dictionary<string, string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            workers.Add(reader.GetString(0), reader.GetString(1));
        }

        return workers;
    }
}
