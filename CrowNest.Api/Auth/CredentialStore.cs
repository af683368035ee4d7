using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Contracts;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Api.Auth;

/// <summary>A valid credential.</summary>
internal sealed record Credential(Caller Caller, bool OrgSuspended);

/// <summary>
/// API keys and sessions by their secret. What was found is kept for less than a second, so that a revocation reaches every instance
/// within one (docs/reference/api.md 13); what was not found is never kept.
/// </summary>
internal sealed class CredentialStore(NpgsqlDataSource database, TimeProvider time)
{
    private const int MaxSecretLength = 512;
    private const int MaxCached = 10_000;
    private static readonly TimeSpan CacheLifetime = TimeSpan.FromMilliseconds(800);
    private static readonly string[] AllScopes = [.. Scopes.All];

    private readonly ConcurrentDictionary<string, (Credential Credential, DateTimeOffset Until)> _cache = new();

    /// <summary>SHA-256, as stored.</summary>
    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    /// <summary>The credential with this secret, or null when there is none that is valid.</summary>
    public async ValueTask<Credential?> FindBySecretAsync(string secret, CancellationToken cancellationToken)
    {
        if (secret.Length > MaxSecretLength)
        {
            return null;
        }

        var hash = Hash(secret);
        return await FindAsync(Convert.ToBase64String(hash), hash, id: null, cancellationToken);
    }

    /// <summary>The credential that signed a link, or null when it is no longer valid.</summary>
    public ValueTask<Credential?> FindByIdAsync(string id, CancellationToken cancellationToken) =>
        Ids.IsValid(id, Ids.ApiKey) || Ids.IsValid(id, Ids.Session)
            ? FindAsync(id, hash: null, id, cancellationToken)
            : ValueTask.FromResult<Credential?>(null);

    /// <summary>What a link of an organization may do; null when there is no such organization.</summary>
    public async ValueTask<Credential?> FindLinkAsync(string orgId, string[] scopes, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("SELECT plan, suspended_at IS NOT NULL FROM organizations WHERE id = @id");
        sql.Parameters.AddWithValue("id", orgId);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new Credential(new Caller($"link_{orgId}", orgId, UserId: null, reader.GetString(0), scopes, ProjectIds: null), reader.GetBoolean(1))
            : null;
    }

    private async ValueTask<Credential?> FindAsync(string cacheKey, byte[]? hash, string? id, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (_cache.TryGetValue(cacheKey, out var cached) && cached.Until > now)
        {
            return cached.Credential;
        }

        ApiTelemetry.CredentialLookups.Add(1);
        var (found, expires) = await ReadAsync(hash, id, now, cancellationToken);
        if (found is null)
        {
            _cache.TryRemove(cacheKey, out _);
            return null;
        }

        if (_cache.Count >= MaxCached)
        {
            _cache.Clear();
        }

        var until = now + CacheLifetime;
        _cache[cacheKey] = (found, expires < until ? expires.Value : until);
        return found;
    }

    private async Task<(Credential? Credential, DateTimeOffset? Expires)> ReadAsync(
        byte[]? hash, string? id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // last_used_at moves at most once a minute: enough for people, and no write on the hot path.
        await using var sql = database.CreateCommand("""
            WITH used AS (
                UPDATE api_keys SET last_used_at = @now
                WHERE (secret_hash = @hash OR id = @id) AND revoked_at IS NULL
                  AND (last_used_at IS NULL OR last_used_at < @now - interval '1 minute'))
            SELECT k.id, k.org_id, NULL::text, k.scopes, k.project_ids, NULL::timestamptz, o.plan, o.suspended_at IS NOT NULL
            FROM api_keys k JOIN organizations o ON o.id = k.org_id
            WHERE (k.secret_hash = @hash OR k.id = @id) AND k.revoked_at IS NULL
            UNION ALL
            SELECT s.id, s.org_id, s.user_id, NULL, NULL, s.expires_at, o.plan, o.suspended_at IS NOT NULL
            FROM sessions s JOIN organizations o ON o.id = s.org_id
            WHERE (s.secret_hash = @hash OR s.id = @id) AND s.revoked_at IS NULL AND s.expires_at > @now
            """);
        sql.Parameters.Add(new("hash", NpgsqlDbType.Bytea) { Value = (object?)hash ?? DBNull.Value });
        sql.Parameters.Add(new("id", NpgsqlDbType.Text) { Value = (object?)id ?? DBNull.Value });
        sql.Parameters.AddWithValue("now", now);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return default;
        }

        var caller = new Caller(
            CredentialId: reader.GetString(0),
            OrgId: reader.GetString(1),
            UserId: await reader.IsDBNullAsync(2, cancellationToken) ? null : reader.GetString(2),
            Plan: reader.GetString(6),
            Scopes: await reader.IsDBNullAsync(3, cancellationToken) ? AllScopes : reader.GetFieldValue<string[]>(3),
            ProjectIds: await reader.IsDBNullAsync(4, cancellationToken) ? null : reader.GetFieldValue<string[]>(4));
        DateTimeOffset? expires = await reader.IsDBNullAsync(5, cancellationToken) ? null : reader.GetFieldValue<DateTimeOffset>(5);
        return (new Credential(caller, reader.GetBoolean(7)), expires);
    }
}
