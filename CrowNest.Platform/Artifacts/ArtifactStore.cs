using System.Text.Json;
using CrowNest.Platform.Database;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.Artifacts;

/// <summary>
/// Artifact rows; the same rules as <see cref="SandboxStore"/>. Callers see <c>stored</c> rows within their retention, nothing else: an
/// export that fails, and a copy that is deleted, look as if they never were.
/// </summary>
public sealed class ArtifactStore(NpgsqlDataSource database)
{
    private const string Columns = """
        a.id, a.org_id, a.project_id, a.sandbox_id, a.state, a.name, a.object_key, a.size_bytes, a.sha256, a.content_type,
        a.source_path, a.remote_path, a.metadata, a.session_id, a.created_at, a.retention_expires_at, a.deleted_at
        """;

    private const string InsertColumns = """
        INSERT INTO artifacts (id, org_id, project_id, sandbox_id, state, name, object_key, content_type, source_path, remote_path, metadata,
                               session_id, created_at, retention_expires_at)
        SELECT @id, org_id, project_id, id, 'storing', @name, @key, @type, @source, @remote, @metadata, @session, @created, @retention
        """;

    /// <summary>Announces an export from the caller's sandbox if that is ready.</summary>
    /// <param name="storedCeiling">Bytes that the organization may keep; null: any number.</param>
    /// <param name="idempotencyId">Record that is to remember the artifact, or null.</param>
    /// <returns>null when the caller has no such sandbox.</returns>
    public async Task<ArtifactInsert?> InsertAsync(
        Ownership owner, NewArtifact artifact, long? storedCeiling, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH box AS (
                SELECT s.id, s.org_id, s.project_id, s.worker_id,
                       CASE WHEN s.state = 'ready' AND s.expires_at <= @created THEN 'expiring' ELSE s.state END AS state,
                       CASE WHEN @ceiling IS NOT NULL THEN
                           (SELECT coalesce(sum(a.size_bytes), 0)::bigint FROM artifacts a WHERE a.org_id = s.org_id AND a.state = 'stored')
                       END AS kept
                FROM sandboxes s WHERE s.id = @sandbox AND {Ownership.Sql("s")}),
            added AS (
                {InsertColumns} FROM box WHERE state = 'ready' AND (kept IS NULL OR kept < @ceiling) RETURNING id),
            remembered AS (UPDATE idempotency_records SET resource_id = @id WHERE id = @idempotency AND EXISTS (SELECT FROM added))
            SELECT EXISTS (SELECT FROM added), state, worker_id, kept FROM box
            """);
        AddTo(sql, artifact);
        sql.Parameters.AddWithValue("sandbox", artifact.SandboxId);
        sql.Parameters.Add(new("ceiling", NpgsqlDbType.Bigint) { Value = (object?)storedCeiling ?? DBNull.Value });
        sql.Parameters.Add(new("idempotency", NpgsqlDbType.Bytea) { Value = (object?)idempotencyId ?? DBNull.Value });
        owner.AddTo(sql.Parameters);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new ArtifactInsert(reader.GetBoolean(0), reader.GetString(1), reader.GetStringOrNull(2), reader.GetLongOrNull(3))
            : null;
    }

    /// <summary>For the platform itself, never on a caller's behalf: an export that a command or a run asked for.</summary>
    public async Task InsertAsync(NewArtifact artifact, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"{InsertColumns} FROM sandboxes WHERE id = @sandbox");
        AddTo(sql, artifact);
        sql.Parameters.AddWithValue("sandbox", artifact.SandboxId);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The bytes are in storage: the artifact exists from now on, and counts.</summary>
    /// <param name="sourcePath">Resolved absolute path; null: as announced.</param>
    /// <returns>null when the row is not <c>storing</c> any more; the object is then nobody's.</returns>
    public async Task<ArtifactRow?> MarkStoredAsync(
        string id, long sizeBytes, string sha256, string? sourcePath, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH stored AS (
                UPDATE artifacts a SET state = 'stored', size_bytes = @size, sha256 = @sha256, source_path = coalesce(@source, a.source_path)
                WHERE a.id = @id AND a.state = ANY(@from) RETURNING {Columns}),
            counted AS (
                INSERT INTO usage_events (org_id, project_id, metric, amount, resource_id, created_at)
                SELECT org_id, project_id, 'artifact_bytes_stored', @size, id, @now FROM stored)
            SELECT * FROM stored
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("size", sizeBytes);
        sql.Parameters.AddWithValue("sha256", sha256);
        sql.Parameters.Add(new("source", NpgsqlDbType.Text) { Value = (object?)sourcePath ?? DBNull.Value });
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("from", ArtifactStates.From(ArtifactStates.Stored));
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }

    /// <summary>The export failed: nothing remains of it.</summary>
    public async Task DiscardAsync(string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("DELETE FROM artifacts WHERE id = @id AND state = 'storing'");
        sql.Parameters.AddWithValue("id", id);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Nobody knows how the export ends: it is to have failed, and whatever is or will be in storage of it goes.</summary>
    /// <returns>false when the row is not <c>storing</c> any more.</returns>
    public async Task<bool> AbandonAsync(string id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            UPDATE artifacts SET state = 'deleted', deleted_at = @now, deleted_reason = '{ArtifactEnds.Abandoned}'
            WHERE id = @id AND state = 'storing'
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("now", now);
        return await sql.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>The caller's artifact, or null: unknown, foreign, unfinished, deleted and expired are all the same.</summary>
    public async Task<ArtifactRow?> FindAsync(Ownership owner, string id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            $"SELECT {Columns} FROM artifacts a WHERE a.id = @id AND {Visible} AND {Ownership.Sql("a")}");
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("now", now);
        owner.AddTo(sql.Parameters);
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }

    /// <summary>For the platform itself, never on a caller's behalf; in any state.</summary>
    public async Task<ArtifactRow?> FindAsync(string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"SELECT {Columns} FROM artifacts a WHERE a.id = @id");
        sql.Parameters.AddWithValue("id", id);
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Newest first, at most <c>Limit</c> rows.</summary>
    public async Task<List<ArtifactRow>> ListAsync(
        Ownership owner, ArtifactFilter filter, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand();
        var where = new List<string> { Visible, Ownership.Sql("a") };
        sql.Parameters.AddWithValue("now", now);
        owner.AddTo(sql.Parameters);
        Equal("sandbox_id", filter.SandboxId);
        Equal("project_id", filter.ProjectId);
        Equal("session_id", filter.SessionId);
        Equal("remote_path", filter.RemotePath);
        if (filter.RemotePathPrefix is { } prefix)
        {
            where.Add("a.remote_path LIKE @prefix");
            sql.Parameters.AddWithValue("prefix", prefix.Replace(@"\", @"\\").Replace("%", @"\%").Replace("_", @"\_") + "%");
        }

        if (filter.Metadata.Count > 0)
        {
            where.Add("a.metadata @> @metadata");
            sql.Parameters.AddWithValue("metadata", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(filter.Metadata));
        }

        if (filter.After is { } after)
        {
            where.Add("(a.created_at, a.id) < (@after_created, @after_id)");
            sql.Parameters.AddWithValue("after_created", after.CreatedAt);
            sql.Parameters.AddWithValue("after_id", after.Id);
        }

        sql.CommandText =
            $"SELECT {Columns} FROM artifacts a WHERE {string.Join(" AND ", where)} ORDER BY a.created_at DESC, a.id DESC LIMIT @limit";
        sql.Parameters.AddWithValue("limit", filter.Limit);
        return await ReadAllAsync(sql, cancellationToken);

        void Equal(string column, string? value)
        {
            if (value is not null)
            {
                where.Add($"a.{column} = @{column}");
                sql.Parameters.AddWithValue(column, value);
            }
        }
    }

    /// <summary>Makes the caller's artifact a tombstone; null when there was none to delete.</summary>
    public async Task<ArtifactRow?> DeleteAsync(Ownership owner, string id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            UPDATE artifacts a SET state = 'deleted', deleted_at = @now, deleted_reason = '{ArtifactEnds.UserDeleted}'
            WHERE a.id = @id AND {Visible} AND {Ownership.Sql("a")} RETURNING {Columns}
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("now", now);
        owner.AddTo(sql.Parameters);
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }

    /// <summary>
    /// Makes tombstones of artifacts past their retention and of exports that began before <paramref name="abandonedBefore"/> and never
    /// finished, and returns tombstones whose bytes are still in storage.
    /// </summary>
    public async Task<List<UnremovedObject>> TakeRemovableAsync(
        DateTimeOffset now, DateTimeOffset abandonedBefore, int limit, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH due AS (
                SELECT a.id FROM artifacts a
                WHERE (a.state = 'stored' AND a.retention_expires_at <= @now) OR (a.state = 'storing' AND a.created_at < @abandoned)
                ORDER BY a.retention_expires_at LIMIT @limit FOR UPDATE SKIP LOCKED),
            ended AS (
                UPDATE artifacts a SET deleted_at = @now, state = 'deleted',
                    deleted_reason = CASE a.state WHEN 'stored' THEN '{ArtifactEnds.RetentionExpired}' ELSE '{ArtifactEnds.Abandoned}' END
                FROM due WHERE a.id = due.id RETURNING a.id, a.object_key)
            SELECT id, object_key FROM ended
            UNION ALL
            (SELECT id, object_key FROM artifacts WHERE state = 'deleted' AND bytes_removed_at IS NULL ORDER BY deleted_at LIMIT @limit)
            """);
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("abandoned", abandonedBefore);
        sql.Parameters.AddWithValue("limit", limit);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var objects = new List<UnremovedObject>();
        while (await reader.ReadAsync(cancellationToken))
        {
            objects.Add(new UnremovedObject(reader.GetString(0), reader.GetString(1)));
        }

        return objects;
    }

    /// <summary>The bytes of a tombstone are gone.</summary>
    public async Task MarkRemovedAsync(string id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            "UPDATE artifacts SET bytes_removed_at = @now WHERE id = @id AND state = 'deleted' AND bytes_removed_at IS NULL");
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("now", now);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    private const string Visible = "a.state = 'stored' AND a.retention_expires_at > @now";

    private static void AddTo(NpgsqlCommand sql, NewArtifact artifact)
    {
        sql.Parameters.AddWithValue("id", artifact.Id);
        sql.Parameters.AddWithValue("name", artifact.Name);
        sql.Parameters.AddWithValue("key", artifact.ObjectKey);
        sql.Parameters.AddWithValue("type", artifact.ContentType);
        sql.Parameters.Add(new("source", NpgsqlDbType.Text) { Value = (object?)artifact.SourcePath ?? DBNull.Value });
        sql.Parameters.Add(new("remote", NpgsqlDbType.Text) { Value = (object?)artifact.RemotePath ?? DBNull.Value });
        sql.Parameters.AddWithValue("metadata", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(artifact.Metadata));
        sql.Parameters.Add(new("session", NpgsqlDbType.Text) { Value = (object?)artifact.SessionId ?? DBNull.Value });
        sql.Parameters.AddWithValue("created", artifact.CreatedAt);
        sql.Parameters.AddWithValue("retention", artifact.RetentionExpiresAt);
    }

    private static async Task<List<ArtifactRow>> ReadAllAsync(NpgsqlCommand sql, CancellationToken cancellationToken)
    {
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var rows = new List<ArtifactRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Read(reader));
        }

        return rows;
    }

    private static ArtifactRow Read(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetString(0),
        OrgId = reader.GetString(1),
        ProjectId = reader.GetString(2),
        SandboxId = reader.GetString(3),
        State = reader.GetString(4),
        Name = reader.GetString(5),
        ObjectKey = reader.GetString(6),
        SizeBytes = reader.GetLongOrNull(7),
        Sha256 = reader.GetStringOrNull(8),
        ContentType = reader.GetString(9),
        SourcePath = reader.GetStringOrNull(10),
        RemotePath = reader.GetStringOrNull(11),
        Metadata = JsonSerializer.Deserialize<Dictionary<string, string>>(reader.GetString(12))!,
        SessionId = reader.GetStringOrNull(13),
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(14),
        RetentionExpiresAt = reader.GetFieldValue<DateTimeOffset>(15),
        DeletedAt = reader.GetTimeOrNull(16),
    };
}
