using System.Text.Json;
using CrowNest.Platform.Database;
using CrowNest.Platform.Sandboxes;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.Tenancy;

/// <summary>An agent session's row.</summary>
public sealed record AgentSessionRow
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public string? Name { get; init; }

    /// <summary><c>active</c> or <c>stopped</c>.</summary>
    public required string State { get; init; }
    public string? CurrentSandboxId { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StoppedAt { get; init; }

    public bool IsActive => State == Active;

    internal const string Active = "active";
}

/// <summary>Agent sessions (docs/reference/stateset.md 3.5); the same rules as <see cref="SandboxStore"/>.</summary>
public sealed class AgentSessionStore(NpgsqlDataSource database)
{
    private const string Columns = """
        g.id, g.org_id, g.project_id, g.name, g.state, g.current_sandbox_id, g.metadata, g.created_at, g.stopped_at
        """;

    /// <summary>Adds a session; project and sandbox must be known to be the caller's.</summary>
    /// <param name="idempotencyId">Record that is to remember the session, or null.</param>
    public async Task InsertAsync(AgentSessionRow session, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(session);
        await using var sql = database.CreateCommand("""
            WITH remembered AS (UPDATE idempotency_records SET resource_id = @id WHERE id = @idempotency)
            INSERT INTO agent_sessions (id, org_id, project_id, name, state, current_sandbox_id, metadata, created_at)
            VALUES (@id, @org, @project, @name, @state, @sandbox, @metadata, @created)
            """);
        sql.Parameters.AddWithValue("id", session.Id);
        sql.Parameters.AddWithValue("org", session.OrgId);
        sql.Parameters.AddWithValue("project", session.ProjectId);
        sql.Parameters.Add(new("name", NpgsqlDbType.Text) { Value = (object?)session.Name ?? DBNull.Value });
        sql.Parameters.AddWithValue("state", session.State);
        sql.Parameters.Add(new("sandbox", NpgsqlDbType.Text) { Value = (object?)session.CurrentSandboxId ?? DBNull.Value });
        sql.Parameters.AddWithValue("metadata", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(session.Metadata));
        sql.Parameters.AddWithValue("created", session.CreatedAt);
        sql.Parameters.Add(new("idempotency", NpgsqlDbType.Bytea) { Value = (object?)idempotencyId ?? DBNull.Value });
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The caller's session, or null.</summary>
    public async Task<AgentSessionRow?> FindAsync(Ownership owner, string id, CancellationToken cancellationToken)
    {
        await using var sql = Owned($"SELECT {Columns} FROM agent_sessions g WHERE g.id = @id AND {Ownership.Sql("g")}", owner);
        sql.Parameters.AddWithValue("id", id);
        return await ReadOneAsync(sql, cancellationToken);
    }

    /// <summary>Newest first, at most <paramref name="limit"/> rows.</summary>
    public async Task<List<AgentSessionRow>> ListAsync(
        Ownership owner, string? projectId, string? state, ListPosition? after, int limit, CancellationToken cancellationToken)
    {
        await using var sql = Owned($"""
            SELECT {Columns} FROM agent_sessions g
            WHERE {Ownership.Sql("g")} AND (@project IS NULL OR g.project_id = @project) AND (@state IS NULL OR g.state = @state)
              AND (@after_id IS NULL OR (g.created_at, g.id) < (@after_created, @after_id))
            ORDER BY g.created_at DESC, g.id DESC LIMIT @limit
            """, owner);
        sql.Parameters.Add(new("project", NpgsqlDbType.Text) { Value = (object?)projectId ?? DBNull.Value });
        sql.Parameters.Add(new("state", NpgsqlDbType.Text) { Value = (object?)state ?? DBNull.Value });
        sql.Parameters.Add(new("after_id", NpgsqlDbType.Text) { Value = (object?)after?.Id ?? DBNull.Value });
        sql.Parameters.Add(new("after_created", NpgsqlDbType.TimestampTz) { Value = (object?)after?.CreatedAt ?? DBNull.Value });
        sql.Parameters.AddWithValue("limit", limit);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var rows = new List<AgentSessionRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Read(reader));
        }

        return rows;
    }

    /// <summary>Makes a sandbox of the session's project the current one; null when the session is not active, or not of that project.</summary>
    public async Task<AgentSessionRow?> SwitchAsync(
        Ownership owner, string id, string sandboxId, string projectId, CancellationToken cancellationToken)
    {
        await using var sql = Owned($"""
            UPDATE agent_sessions g SET current_sandbox_id = @sandbox
            WHERE g.id = @id AND g.state = '{AgentSessionRow.Active}' AND g.project_id = @project AND {Ownership.Sql("g")} RETURNING {Columns}
            """, owner);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("sandbox", sandboxId);
        sql.Parameters.AddWithValue("project", projectId);
        return await ReadOneAsync(sql, cancellationToken);
    }

    /// <summary>Ends the session; false when it has ended before.</summary>
    public async Task<bool> StopAsync(Ownership owner, string id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = Owned($"""
            UPDATE agent_sessions g SET state = 'stopped', stopped_at = @now
            WHERE g.id = @id AND g.state = '{AgentSessionRow.Active}' AND {Ownership.Sql("g")}
            """, owner);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("now", now);
        return await sql.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private NpgsqlCommand Owned(string text, Ownership owner)
    {
        ArgumentNullException.ThrowIfNull(owner);
        var sql = database.CreateCommand(text);
        owner.AddTo(sql.Parameters);
        return sql;
    }

    private static async Task<AgentSessionRow?> ReadOneAsync(NpgsqlCommand sql, CancellationToken cancellationToken)
    {
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Read(reader) : null;
    }

    private static AgentSessionRow Read(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetString(0),
        OrgId = reader.GetString(1),
        ProjectId = reader.GetString(2),
        Name = reader.GetStringOrNull(3),
        State = reader.GetString(4),
        CurrentSandboxId = reader.GetStringOrNull(5),
        Metadata = JsonSerializer.Deserialize<Dictionary<string, string>>(reader.GetString(6))!,
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(7),
        StoppedAt = reader.GetTimeOrNull(8),
    };
}
