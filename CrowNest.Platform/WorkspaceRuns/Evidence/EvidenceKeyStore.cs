using CrowNest.Platform.Database;
using Npgsql;

namespace CrowNest.Platform.WorkspaceRuns.Evidence;

/// <param name="PublicKey">SubjectPublicKeyInfo.</param>
public sealed record EvidenceKeyRow(string Id, byte[] PublicKey, DateTimeOffset CreatedAt, DateTimeOffset? RetiredAt);

/// <summary>Names and public halves of the keys that sign evidence. At most one of them signs.</summary>
public sealed class EvidenceKeyStore(NpgsqlDataSource database)
{
    /// <summary>Every key that is to be believed, newest first; the first one signs when it is not retired.</summary>
    public async Task<List<EvidenceKeyRow>> ListAsync(CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("""
            SELECT id, public_key, created_at, retired_at FROM evidence_keys WHERE revoked_at IS NULL
            ORDER BY retired_at IS NULL DESC, created_at DESC, id
            """);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var keys = new List<EvidenceKeyRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            keys.Add(new EvidenceKeyRow(
                reader.GetString(0), reader.GetFieldValue<byte[]>(1), reader.GetFieldValue<DateTimeOffset>(2), reader.GetTimeOrNull(3)));
        }

        return keys;
    }

    /// <summary>
    /// Puts a new key in the place of the one with the id <paramref name="replaces"/>. When another instance was first, nothing changes.
    /// </summary>
    /// <param name="replaces">The key that signs now; null: none does.</param>
    /// <param name="revoke">Nobody is to believe any earlier key.</param>
    public async Task RotateAsync(EvidenceKeyRow key, string? replaces, bool revoke, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        await using var batch = database.CreateBatch();
        Add("SELECT pg_advisory_xact_lock(hashtextextended('evidence_keys', 1))");
        Add("""
            UPDATE evidence_keys SET retired_at = coalesce(retired_at, @now), revoked_at = CASE WHEN @revoke THEN @now ELSE revoked_at END
            WHERE id = @replaces OR (@revoke AND revoked_at IS NULL)
            """, ("now", key.CreatedAt), ("revoke", revoke), ("replaces", replaces ?? ""));
        Add("""
            INSERT INTO evidence_keys (id, public_key, created_at)
            SELECT @id, @key, @now WHERE NOT EXISTS (SELECT FROM evidence_keys WHERE retired_at IS NULL)
            """, ("id", key.Id), ("key", key.PublicKey), ("now", key.CreatedAt));
        await batch.ExecuteNonQueryAsync(cancellationToken);

        void Add(string text, params ReadOnlySpan<(string Name, object Value)> parameters)
        {
            var command = new NpgsqlBatchCommand(text);
            foreach (var (name, value) in parameters)
            {
                command.Parameters.AddWithValue(name, value);
            }

            batch.BatchCommands.Add(command);
        }
    }
}
