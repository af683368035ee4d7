using CrowNest.Api.Auth;
using CrowNest.Api.Bootstrap;
using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Api.ApiKeys;

/// <summary>
/// Keys as people and programs see them. A key that is restricted to projects sees only keys that are restricted to some of the same: it
/// must neither learn of nor revoke what reaches further than itself.
/// </summary>
internal sealed class ApiKeyStore(NpgsqlDataSource database, TimeProvider time)
{
    private const string Columns =
        "k.id, k.org_id, k.name, k.prefix, k.last4, k.scopes, k.created_by_user_id, k.created_at, k.project_ids, k.revoked_at, k.last_used_at";

    private const string Owned = "k.org_id = @org AND (@projects IS NULL OR k.project_ids <@ @projects)";

    private const int PrefixLength = 12;
    private const int SuffixLength = 4;

    /// <summary>Newest first, revoked ones included.</summary>
    public async Task<List<ApiKey>> ListAsync(Ownership owner, ListPosition? after, int limit, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            SELECT {Columns} FROM api_keys k
            WHERE {Owned} AND (@after_id IS NULL OR (k.created_at, k.id) < (@after_created, @after_id))
            ORDER BY k.created_at DESC, k.id DESC LIMIT @limit
            """);
        sql.Parameters.Add(new("after_id", NpgsqlDbType.Text) { Value = (object?)after?.Id ?? DBNull.Value });
        sql.Parameters.Add(new("after_created", NpgsqlDbType.TimestampTz) { Value = (object?)after?.CreatedAt ?? DBNull.Value });
        sql.Parameters.AddWithValue("limit", limit);
        return await ReadAsync(sql, owner, cancellationToken);
    }

    public async Task<ApiKey?> FindAsync(Ownership owner, string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"SELECT {Columns} FROM api_keys k WHERE k.id = @id AND {Owned}");
        sql.Parameters.AddWithValue("id", id);
        return (await ReadAsync(sql, owner, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Revokes a key; one that is revoked already is returned as it is. null: the caller has no such key.</summary>
    public async Task<ApiKey?> RevokeAsync(Ownership owner, string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            UPDATE api_keys k SET revoked_at = coalesce(k.revoked_at, @now) WHERE k.id = @id AND {Owned} RETURNING {Columns}
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("now", time.GetUtcNow());
        return (await ReadAsync(sql, owner, cancellationToken)).SingleOrDefault();
    }

    /// <returns>null when one of the projects is not of the organization.</returns>
    public async Task<CreatedApiKey?> CreateAsync(string orgId, string userId, NewApiKey key, CancellationToken cancellationToken)
    {
        var secret = BootstrapKey.Generate();
        await using var sql = database.CreateCommand($"""
            INSERT INTO api_keys AS k (id, org_id, name, prefix, last4, secret_hash, scopes, project_ids, created_by_user_id, created_at)
            SELECT @id, @org, @name, @prefix, @last4, @hash, @scopes, @projects, @user, @now
            WHERE @projects IS NULL
               OR (SELECT count(*) FROM projects p WHERE p.org_id = @org AND p.id = ANY(@projects)) = cardinality(@projects)
            RETURNING {Columns}
            """);
        sql.Parameters.AddWithValue("id", Ids.New(Ids.ApiKey));
        sql.Parameters.AddWithValue("name", key.Name);
        sql.Parameters.AddWithValue("prefix", secret[..PrefixLength]);
        sql.Parameters.AddWithValue("last4", secret[^SuffixLength..]);
        sql.Parameters.AddWithValue("hash", CredentialStore.Hash(secret));
        sql.Parameters.AddWithValue("scopes", key.Scopes);
        sql.Parameters.AddWithValue("user", userId);
        sql.Parameters.AddWithValue("now", time.GetUtcNow());
        var created = (await ReadAsync(sql, new Ownership(orgId, key.ProjectIds), cancellationToken)).SingleOrDefault();
        return created is null ? null : new CreatedApiKey(created, secret);
    }

    private static async Task<List<ApiKey>> ReadAsync(NpgsqlCommand sql, Ownership owner, CancellationToken cancellationToken)
    {
        sql.Parameters.AddWithValue("org", owner.OrgId);
        sql.Parameters.Add(new("projects", NpgsqlDbType.Array | NpgsqlDbType.Text) { Value = (object?)owner.ProjectIds ?? DBNull.Value });
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var keys = new List<ApiKey>();
        while (await reader.ReadAsync(cancellationToken))
        {
            keys.Add(new ApiKey
            {
                Id = reader.GetString(0),
                OrgId = reader.GetString(1),
                Name = reader.GetString(2),
                Prefix = reader.GetString(3),
                Last4 = reader.GetString(4),
                Scopes = reader.GetFieldValue<string[]>(5),
                CreatedByUserId = reader.GetString(6),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(7),
                ProjectIds = await reader.IsDBNullAsync(8, cancellationToken) ? null : reader.GetFieldValue<string[]>(8),
                RevokedAt = await TimeAsync(9),
                LastUsedAt = await TimeAsync(10),
            });
        }

        return keys;

        async Task<DateTimeOffset?> TimeAsync(int ordinal) =>
            await reader.IsDBNullAsync(ordinal, cancellationToken) ? null : reader.GetFieldValue<DateTimeOffset>(ordinal);
    }
}
