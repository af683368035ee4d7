using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Database;
using CrowNest.Platform.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.Sandboxes;

/// <summary>
/// Sandbox rows. Every change is one conditional statement that names its from-states (<see cref="SandboxStates"/>); a method that
/// returns false or null found that someone was first.
/// </summary>
public sealed class SandboxStore(NpgsqlDataSource database)
{
    private const string Select = $"""
        SELECT s.id, s.org_id, s.project_id, s.template_id, t.slug, v.version, s.template_version_id, s.state, s.worker_id,
               s.container_id, s.runtime, s.network, s.cpus, s.memory_mb, s.ttl_ms, s.expires_at, s.metadata::text, s.created_at,
               s.ready_at, s.destroyed_at, s.destroyed_reason, s.failure_message,
               {HasActiveWork} AS has_active_work, {HasWorked} AS has_worked
        FROM sandboxes s
        JOIN template_versions v ON v.id = s.template_version_id
        JOIN templates t ON t.id = s.template_id
        """;

    private const string HasActiveWork = "EXISTS (SELECT FROM commands c WHERE c.sandbox_id = s.id AND c.finished_at IS NULL)";
    private const string HasWorked = "EXISTS (SELECT FROM commands c WHERE c.sandbox_id = s.id)";

    /// <summary>
    /// Adds a <c>creating</c> row unless the organization already has <paramref name="ceiling"/> live sandboxes.
    /// </summary>
    /// <param name="idempotencyId">Record that is to remember the sandbox, or null.</param>
    /// <returns>The number of live sandboxes that stood in the way, or null when the row was added.</returns>
    public async Task<long?> InsertAsync(
        NewSandbox sandbox, int ceiling, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        // The lock makes count and insert one step per organization. It is a statement of its own because a statement's snapshot is
        // taken before it waits; the batch is one round trip and one transaction. Nobody hears of the row before the worker has made it
        // ready, which is a commit that waits.
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"SELECT pg_advisory_xact_lock(hashtextextended(@org, 1)), {LazyCommit.Sql}")
        {
            Parameters = { new("org", sandbox.OrgId) },
        });
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            WITH live AS (SELECT count(*) AS n FROM sandboxes WHERE org_id = @org AND state = ANY(@live)),
            added AS (
                INSERT INTO sandboxes (id, org_id, project_id, template_id, template_version_id, state, network, cpus, memory_mb, ttl_ms,
                                       expires_at, metadata, created_at)
                SELECT @id, @org, @project, @template, @version, @state, @network, @cpus, @memory, @ttl, @expires, @metadata, @created
                FROM live WHERE n < @ceiling
                RETURNING id),
            remembered AS (UPDATE idempotency_records SET resource_id = @id WHERE id = @idempotency AND EXISTS (SELECT FROM added))
            SELECT n FROM live WHERE NOT EXISTS (SELECT FROM added)
            """)
        {
            Parameters =
            {
                new("id", sandbox.Id), new("org", sandbox.OrgId), new("project", sandbox.ProjectId), new("template", sandbox.TemplateId),
                new("version", sandbox.TemplateVersionId), new("state", SandboxStatus.Creating), new("network", sandbox.Network),
                new("cpus", sandbox.Cpus), new("memory", sandbox.MemoryMb), new("ttl", sandbox.TtlMs),
                new("expires", sandbox.CreatedAt.AddMilliseconds(sandbox.TtlMs)), new("created", sandbox.CreatedAt),
                new("metadata", NpgsqlDbType.Jsonb) { Value = JsonSerializer.Serialize(sandbox.Metadata) },
                new("live", SandboxStates.Live), new("ceiling", ceiling),
                new("idempotency", NpgsqlDbType.Bytea) { Value = (object?)idempotencyId ?? DBNull.Value },
            },
        });
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.NextResultAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? reader.GetInt64(0) : null;
    }

    /// <summary>The caller's sandbox, in any state, or null.</summary>
    public Task<SandboxRow?> FindAsync(Ownership owner, string id, CancellationToken cancellationToken)
    {
        var command = database.CreateCommand($"{Select} WHERE s.id = @id AND {Ownership.Sql("s")}");
        command.Parameters.AddWithValue("id", id);
        owner.AddTo(command.Parameters);
        return ReadOneAsync(command, cancellationToken);
    }

    /// <summary>For the platform itself, never on a caller's behalf.</summary>
    public Task<SandboxRow?> FindAsync(string id, CancellationToken cancellationToken)
    {
        var command = database.CreateCommand($"{Select} WHERE s.id = @id");
        command.Parameters.AddWithValue("id", id);
        return ReadOneAsync(command, cancellationToken);
    }

    /// <summary>The live sandboxes of a worker.</summary>
    public Task<List<SandboxRow>> ListLiveOfWorkerAsync(string workerId, CancellationToken cancellationToken)
    {
        var command = database.CreateCommand($"{Select} WHERE s.worker_id = @worker AND s.state = ANY(@live)");
        command.Parameters.AddWithValue("worker", workerId);
        command.Parameters.AddWithValue("live", SandboxStates.Live);
        return ReadAllAsync(command, cancellationToken);
    }

    /// <summary>Newest first, at most <c>Limit</c> rows (docs/reference/api.md 4.4).</summary>
    public Task<List<SandboxRow>> ListAsync(Ownership owner, SandboxFilter filter, CancellationToken cancellationToken)
    {
        var command = database.CreateCommand();
        var where = new List<string> { Ownership.Sql("s") };
        owner.AddTo(command.Parameters);
        if (filter.Status is { } status)
        {
            where.Add(StatusCondition(status));
        }
        else if (!filter.IncludeHistorical)
        {
            where.Add("s.state = ANY(@live)");
            command.Parameters.AddWithValue("live", SandboxStates.Live);
        }

        if (filter.ProjectId is { } projectId)
        {
            where.Add("s.project_id = @project");
            command.Parameters.AddWithValue("project", projectId);
        }

        if (filter.Metadata.Count > 0)
        {
            where.Add("s.metadata @> @metadata");
            command.Parameters.AddWithValue("metadata", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(filter.Metadata));
        }

        if (filter.After is { } after)
        {
            where.Add("(s.created_at, s.id) < (@after_created, @after_id)");
            command.Parameters.AddWithValue("after_created", after.CreatedAt);
            command.Parameters.AddWithValue("after_id", after.Id);
        }

        command.CommandText = $"{Select} WHERE {string.Join(" AND ", where)} ORDER BY s.created_at DESC, s.id DESC LIMIT @limit";
        command.Parameters.AddWithValue("limit", filter.Limit);
        return ReadAllAsync(command, cancellationToken);

        static string StatusCondition(string status) => status switch
        {
            SandboxStatus.Ready => $"s.state = 'ready' AND NOT {HasWorked}",
            SandboxStatus.Idle => $"s.state = 'ready' AND {HasWorked} AND NOT {HasActiveWork}",
            SandboxStatus.Running => $"s.state = 'ready' AND {HasActiveWork}",
            // The rest are stored states; the caller has checked that the status exists.
            _ when SandboxStates.All.Contains(status) => $"s.state = '{status}'",
            _ => throw new ArgumentOutOfRangeException(nameof(status), status, "Not a status of a sandbox."),
        };
    }

    /// <summary>A worker takes the sandbox on.</summary>
    public Task<bool> MarkStartingAsync(string id, string workerId, CancellationToken cancellationToken) =>
        ChangeAsync(id, SandboxStatus.Starting, "worker_id = @worker", cancellationToken, new NpgsqlParameter("worker", workerId));

    /// <summary>The runtime answers; the sandbox can be used.</summary>
    public Task<bool> MarkReadyAsync(
        string id, string workerId, string containerId, string runtime, bool warm, DateTimeOffset now, CancellationToken cancellationToken) =>
        ChangeAsync(id, SandboxStatus.Ready,
            "worker_id = @worker, container_id = @container, runtime = @runtime, started_warm = @warm, ready_at = @now", cancellationToken,
            new("worker", workerId), new("container", containerId), new("runtime", runtime), new("warm", warm), new("now", now));

    /// <summary>
    /// Starts the end of a sandbox for <paramref name="reason"/>; a reason that is already there stays (docs/reference/api.md 4.6).
    /// </summary>
    public Task<bool> MarkExpiringAsync(string id, string reason, CancellationToken cancellationToken) =>
        ChangeAsync(id, SandboxStatus.Expiring, "destroyed_reason = @reason", cancellationToken, new NpgsqlParameter("reason", reason));

    /// <summary>
    /// Moves every sandbox of the worker that is past its deadline, or idle for longer than <paramref name="idleAfter"/>, to
    /// <c>expiring</c>, and returns all that are to be destroyed, those that a kill had marked before included.
    /// </summary>
    public async Task<List<string>> TakeDueAsync(
        string workerId, DateTimeOffset now, TimeSpan? idleAfter, string? onlyId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            WITH due AS (
                UPDATE sandboxes s SET state = 'expiring',
                    destroyed_reason = CASE WHEN s.expires_at <= @now THEN 'ttl_expired' ELSE 'idle_expired' END
                WHERE s.worker_id = @worker AND s.state = ANY(@from) AND (@only IS NULL OR s.id = @only)
                  AND (s.expires_at <= @now
                       OR (@idle_before IS NOT NULL AND s.ready_at < @idle_before AND NOT {HasActiveWork}
                           AND NOT EXISTS (SELECT FROM commands c WHERE c.sandbox_id = s.id AND c.finished_at >= @idle_before)
                           AND NOT EXISTS (SELECT FROM workspace_runs r WHERE r.closed_at IS NULL AND r.sandbox_id = s.id)))
                RETURNING s.id)
            SELECT id FROM due
            UNION SELECT id FROM sandboxes WHERE worker_id = @worker AND state = 'expiring' AND (@only IS NULL OR id = @only)
            """);
        command.Parameters.AddWithValue("worker", workerId);
        command.Parameters.AddWithValue("now", now);
        command.Parameters.AddWithValue("from", SandboxStates.From(SandboxStatus.Expiring));
        command.Parameters.Add(new("only", NpgsqlDbType.Text) { Value = (object?)onlyId ?? DBNull.Value });
        command.Parameters.Add(new("idle_before", NpgsqlDbType.TimestampTz) { Value = idleAfter is { } idle ? now - idle : DBNull.Value });
        var ids = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Add(reader.GetString(0));
        }

        return ids;
    }

    /// <summary>Cleanup is finished; what still ran in it was killed with it (docs/reference/api.md 4.2).</summary>
    public Task<bool> MarkDestroyedAsync(string id, DateTimeOffset now, CancellationToken cancellationToken) =>
        EndAsync(id, SandboxStatus.Destroyed, "destroyed_at = @now", now, cancellationToken);

    /// <summary>It could not be made, or its runtime was lost.</summary>
    /// <param name="message">For people; no host path, no stack trace.</param>
    public Task<bool> MarkFailedAsync(string id, string message, DateTimeOffset now, CancellationToken cancellationToken) =>
        EndAsync(id, SandboxStatus.Failed, "failure_message = @message", now, cancellationToken, new NpgsqlParameter("message", message));

    /// <summary>Resets the lifetime (docs/reference/api.md 4.7); null when the sandbox is not live or already past its deadline.</summary>
    public async Task<bool> ExtendAsync(Ownership owner, string id, long ttlMs, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            UPDATE sandboxes s SET ttl_ms = @ttl, expires_at = @expires
            WHERE s.id = @id AND {Ownership.Sql("s")} AND s.state = ANY(@from) AND s.expires_at > @now
            """);
        command.Parameters.AddWithValue("id", id);
        command.Parameters.AddWithValue("ttl", ttlMs);
        command.Parameters.AddWithValue("now", now);
        command.Parameters.AddWithValue("expires", now.AddMilliseconds(ttlMs));
        command.Parameters.AddWithValue("from", SandboxStates.From(SandboxStatus.Expiring));
        owner.AddTo(command.Parameters);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>
    /// Closes the books of workers whose lease lapsed before <paramref name="now"/>, and of sandboxes that no worker took on by
    /// <paramref name="abandonedBefore"/>: those being destroyed become <c>destroyed</c>, the others <c>failed</c>.
    /// </summary>
    public async Task<ClosedBooks> CloseAbandonedAsync(DateTimeOffset now, DateTimeOffset abandonedBefore, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            WITH lost AS (
                -- One that was to end, or is past its deadline, has ended; only the others were lost before their time.
                SELECT s.id, s.state = 'expiring' OR s.expires_at <= @now AS ended
                FROM sandboxes s LEFT JOIN workers w ON w.id = s.worker_id
                WHERE s.state = ANY(@live)
                  AND (w.lease_expires_at < @now OR (w.id IS NULL AND s.created_at < @abandoned))
                FOR UPDATE OF s SKIP LOCKED),
            killed AS (
                UPDATE commands c SET {KilledWithSandbox}
                FROM lost WHERE c.sandbox_id = lost.id AND (c.finished_at IS NULL OR c.collect_status = 'pending')
                RETURNING c.id, c.state = 'killed' AND c.finished_at = @now AS now),
            closed AS (
                UPDATE sandboxes s SET
                    state = CASE WHEN ended THEN 'destroyed' ELSE 'failed' END,
                    destroyed_at = CASE WHEN ended THEN @now END,
                    destroyed_reason = CASE WHEN ended THEN coalesce(s.destroyed_reason, 'ttl_expired') END,
                    failure_message = CASE WHEN NOT ended THEN 'The node that ran this sandbox was lost.' END
                FROM lost WHERE s.id = lost.id RETURNING s.id)
            SELECT id, true FROM closed UNION ALL SELECT id, false FROM killed WHERE now
            """);
        command.Parameters.AddWithValue("live", SandboxStates.Live);
        command.Parameters.AddWithValue("now", now);
        command.Parameters.AddWithValue("abandoned", abandonedBefore);
        var sandboxes = new List<string>();
        var commands = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            (reader.GetBoolean(1) ? sandboxes : commands).Add(reader.GetString(0));
        }

        return new ClosedBooks(sandboxes, commands);
    }

    /// <summary>Assignments to the commands of a sandbox that goes: an active one is killed, a final one keeps its end.</summary>
    private const string KilledWithSandbox = $"""
        state = CASE WHEN c.finished_at IS NULL THEN 'killed' ELSE c.state END,
        killed_reason = CASE WHEN c.finished_at IS NULL THEN 'sandbox_destroyed' ELSE c.killed_reason END,
        finished_at = coalesce(c.finished_at, @now),
        {CollectSql.SandboxGone}
        """;

    private async Task<bool> ChangeAsync(
        string id, string to, string set, CancellationToken cancellationToken, params NpgsqlParameter[] parameters)
    {
        await using var command = database.CreateCommand($"UPDATE sandboxes SET state = @to, {set} WHERE id = @id AND state = ANY(@from)");
        command.Parameters.AddWithValue("id", id);
        command.Parameters.AddWithValue("to", to);
        command.Parameters.AddWithValue("from", SandboxStates.From(to));
        command.Parameters.AddRange(parameters);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>A final change, and in the same transaction the end of every command that was still active.</summary>
    private async Task<bool> EndAsync(
        string id, string to, string set, DateTimeOffset now, CancellationToken cancellationToken, params NpgsqlParameter[] parameters)
    {
        await using var command = database.CreateCommand($"""
            WITH ended AS (UPDATE sandboxes SET state = @to, {set} WHERE id = @id AND state = ANY(@from) RETURNING id),
            killed AS (
                UPDATE commands c SET {KilledWithSandbox}
                WHERE c.sandbox_id = (SELECT id FROM ended) AND (c.finished_at IS NULL OR c.collect_status = 'pending'))
            SELECT count(*) FROM ended
            """);
        command.Parameters.AddWithValue("id", id);
        command.Parameters.AddWithValue("to", to);
        command.Parameters.AddWithValue("now", now);
        command.Parameters.AddWithValue("from", SandboxStates.From(to));
        command.Parameters.AddRange(parameters);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))! == 1;
    }

    private static async Task<SandboxRow?> ReadOneAsync(NpgsqlCommand command, CancellationToken cancellationToken) =>
        (await ReadAllAsync(command, cancellationToken)).SingleOrDefault();

    private static async Task<List<SandboxRow>> ReadAllAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var owned = command;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<SandboxRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Read(reader));
        }

        return rows;
    }

    private static SandboxRow Read(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetString(0),
        OrgId = reader.GetString(1),
        ProjectId = reader.GetString(2),
        TemplateId = reader.GetString(3),
        TemplateSlug = reader.GetString(4),
        TemplateVersion = reader.GetString(5),
        TemplateVersionId = reader.GetString(6),
        State = reader.GetString(7),
        WorkerId = reader.GetStringOrNull(8),
        ContainerId = reader.GetStringOrNull(9),
        Runtime = reader.GetStringOrNull(10),
        Network = reader.GetString(11),
        Cpus = reader.GetDouble(12),
        MemoryMb = reader.GetInt32(13),
        TtlMs = reader.GetInt64(14),
        ExpiresAt = reader.GetFieldValue<DateTimeOffset>(15),
        Metadata = JsonSerializer.Deserialize<Dictionary<string, string>>(reader.GetString(16))!,
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(17),
        ReadyAt = reader.GetTimeOrNull(18),
        DestroyedAt = reader.GetTimeOrNull(19),
        DestroyedReason = reader.GetStringOrNull(20),
        FailureMessage = reader.GetStringOrNull(21),
        HasActiveWork = reader.GetBoolean(22),
        HasWorked = reader.GetBoolean(23),
    };
}
