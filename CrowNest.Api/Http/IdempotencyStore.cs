using CrowNest.Platform.Database;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Api.Http;

/// <summary>Outcome of a claim: exactly one member is set, or none while the original executes.</summary>
/// <param name="Lease">The caller executes; it holds this lease.</param>
/// <param name="Stored">The original's response.</param>
/// <param name="Reused">The key was used for another request.</param>
internal sealed record ClaimOutcome(IdempotencyLease? Lease = null, StoredResponse? Stored = null, bool Reused = false);

internal sealed record StoredResponse(int Status, byte[] Body);

/// <summary>
/// The right to execute under a record. The time until which it is locked doubles as its fence: who holds another time has lost it.
/// </summary>
internal sealed class IdempotencyLease(byte[] id, string? resourceId, DateTime lockedUntil)
{
    public byte[] Id { get; } = id;

    /// <summary>What an earlier, lost attempt had made.</summary>
    public string? ResourceId { get; } = resourceId;

    public DateTime LockedUntil { get; set; } = lockedUntil;
}

/// <summary>
/// <c>idempotency_records</c> (docs/reference/api.md 2.8). All times are the database's own: leases must mean the same to every instance. A
/// claim and a stored response are lazy commits (<see cref="LazyCommit"/>): the resource's own commit between them carries the claim, and a
/// response that was lost is found again by the resource.
/// </summary>
internal sealed class IdempotencyStore(NpgsqlDataSource database)
{
    /// <summary>How long a crashed instance blocks a key.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    /// <summary>Then a key is forgotten.</summary>
    public static readonly TimeSpan Retention = TimeSpan.FromHours(24);

    /// <summary>Claims the record, or tells why not.</summary>
    public async Task<ClaimOutcome> ClaimAsync(byte[] id, byte[] fingerprint, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await TryClaimAsync(id, fingerprint, cancellationToken) is { } lease)
            {
                return new ClaimOutcome(lease);
            }

            if (await ReadAsync(id, fingerprint, cancellationToken) is { } held)
            {
                return held;
            }

            // The record was given back between the two statements.
        }
    }

    /// <summary>Holds on to the record for another <see cref="Lease"/>; false when it was lost.</summary>
    public async Task<bool> RenewAsync(IdempotencyLease lease, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("""
            UPDATE idempotency_records SET locked_until = now() + @lease
            WHERE id = @id AND locked_until = @fence AND response_status IS NULL RETURNING locked_until
            """);
        AddFence(sql, lease);
        sql.Parameters.AddWithValue("lease", Lease);
        if (await sql.ExecuteScalarAsync(cancellationToken) is not DateTime lockedUntil)
        {
            return false;
        }

        lease.LockedUntil = lockedUntil;
        return true;
    }

    /// <summary>Stores the response for replays.</summary>
    public async Task SaveAsync(IdempotencyLease lease, StoredResponse response, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            UPDATE idempotency_records SET response_status = @status, response_body = @body WHERE id = @id AND locked_until = @fence
            RETURNING {LazyCommit.Sql}
            """);
        AddFence(sql, lease);
        sql.Parameters.AddWithValue("status", response.Status);
        sql.Parameters.AddWithValue("body", response.Body);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The request was refused: a corrected or later one may use the key.</summary>
    public async Task ForgetAsync(IdempotencyLease lease, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("DELETE FROM idempotency_records WHERE id = @id AND locked_until = @fence");
        AddFence(sql, lease);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// The request broke off. When it had already made something, the record stays, free to be claimed by a retry, which then finds
    /// <see cref="IdempotencyLease.ResourceId"/>.
    /// </summary>
    public async Task ReleaseAsync(IdempotencyLease lease, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("""
            WITH empty AS (DELETE FROM idempotency_records WHERE id = @id AND locked_until = @fence AND resource_id IS NULL)
            UPDATE idempotency_records SET locked_until = now() WHERE id = @id AND locked_until = @fence AND resource_id IS NOT NULL
            """);
        AddFence(sql, lease);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Deletes what is past its retention.</summary>
    public async Task<int> DeleteExpiredAsync(CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("DELETE FROM idempotency_records WHERE created_at < now() - @retention");
        sql.Parameters.AddWithValue("retention", Retention);
        return await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<IdempotencyLease?> TryClaimAsync(byte[] id, byte[] fingerprint, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            INSERT INTO idempotency_records AS r (id, fingerprint, locked_until, created_at)
            VALUES (@id, @fingerprint, now() + @lease, now())
            ON CONFLICT (id) DO UPDATE SET
                fingerprint = @fingerprint, locked_until = now() + @lease, response_status = NULL, response_body = NULL,
                resource_id = CASE WHEN r.created_at < now() - @retention THEN NULL ELSE r.resource_id END,
                created_at = CASE WHEN r.created_at < now() - @retention THEN now() ELSE r.created_at END
            WHERE r.created_at < now() - @retention
               OR (r.response_status IS NULL AND r.locked_until <= now() AND r.fingerprint = @fingerprint)
            RETURNING resource_id, locked_until, {LazyCommit.Sql}
            """);
        AddKey(sql, id, fingerprint);
        sql.Parameters.AddWithValue("lease", Lease);
        sql.Parameters.AddWithValue("retention", Retention);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new IdempotencyLease(
                id, await reader.IsDBNullAsync(0, cancellationToken) ? null : reader.GetString(0), reader.GetDateTime(1))
            : null;
    }

    private async Task<ClaimOutcome?> ReadAsync(byte[] id, byte[] fingerprint, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            "SELECT fingerprint = @fingerprint, response_status, response_body FROM idempotency_records WHERE id = @id");
        AddKey(sql, id, fingerprint);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        if (!reader.GetBoolean(0))
        {
            return new ClaimOutcome(Reused: true);
        }

        return await reader.IsDBNullAsync(1, cancellationToken)
            ? new ClaimOutcome()
            : new ClaimOutcome(Stored: new StoredResponse(reader.GetInt32(1), reader.GetFieldValue<byte[]>(2)));
    }

    private static void AddKey(NpgsqlCommand sql, byte[] id, byte[] fingerprint)
    {
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("fingerprint", fingerprint);
    }

    private static void AddFence(NpgsqlCommand sql, IdempotencyLease lease)
    {
        sql.Parameters.AddWithValue("id", lease.Id);
        sql.Parameters.Add(new("fence", NpgsqlDbType.TimestampTz) { Value = lease.LockedUntil });
    }
}
