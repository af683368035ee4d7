using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.Commands;

/// <summary>Command rows; the same rules as <see cref="SandboxStore"/>.</summary>
public sealed class CommandStore(NpgsqlDataSource database)
{
    private const string Columns = """
        c.id, c.org_id, c.project_id, c.sandbox_id, c.command, c.cwd, c.state, c.exit_code, c.stdout_truncated, c.stderr_truncated,
        c.timeout_ms, c.created_at, c.started_at, c.finished_at, c.cancel_mode, c.canceled_at, c.termination_signal, c.killed_reason,
        c.failure_code, c.failure_message, c.collect_status, c.log_object_key, c.oldest_seq, c.last_seq, c.collect, c.collect_errors
        """;

    /// <summary>Names in stored JSON: SQL reads them too (<see cref="CollectSql"/>).</summary>
    private static readonly JsonSerializerOptions Json = JsonSerializerOptions.Web;

    private const string ColumnsWithOutput = Columns + ", c.stdout, c.stderr";

    /// <summary>
    /// Queues a command in the caller's sandbox if that is ready. The sandbox's row is locked for the statement, so that a sandbox that
    /// starts to expire meanwhile finds this command and ends it.
    /// </summary>
    /// <param name="idempotencyId">Record that is to remember the command, or null.</param>
    /// <returns>null when the caller has no such sandbox.</returns>
    public async Task<CommandInsert?> InsertAsync(
        Ownership owner, NewCommand command, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH box AS (
                SELECT s.id, s.org_id, s.project_id, s.worker_id,
                       CASE WHEN s.state = 'ready' AND s.expires_at <= @created THEN 'expiring' ELSE s.state END AS state
                FROM sandboxes s WHERE s.id = @sandbox AND {Ownership.Sql("s")} FOR SHARE),
            added AS (
                INSERT INTO commands (id, org_id, project_id, sandbox_id, command, cwd, state, stdout_truncated, stderr_truncated,
                                      timeout_ms, created_at, collect_status, collect, oldest_seq, last_seq)
                SELECT @id, org_id, project_id, id, @command, @cwd, 'queued', false, false, @timeout, @created,
                       CASE WHEN @collect IS NULL THEN 'not_requested' ELSE 'pending' END, @collect, 0, 0
                FROM box WHERE state = 'ready'
                RETURNING id),
            remembered AS (UPDATE idempotency_records SET resource_id = @id WHERE id = @idempotency AND EXISTS (SELECT FROM added))
            SELECT EXISTS (SELECT FROM added), state, worker_id, set_config('synchronous_commit', @commit, true) FROM box
            """);
        sql.Parameters.AddWithValue("commit", command.AnswerWaitsForEnd ? "off" : "on");
        sql.Parameters.AddWithValue("id", command.Id);
        sql.Parameters.AddWithValue("sandbox", command.SandboxId);
        sql.Parameters.AddWithValue("command", command.Command);
        sql.Parameters.AddWithValue("cwd", command.Cwd);
        sql.Parameters.Add(new("timeout", NpgsqlDbType.Bigint) { Value = (object?)command.TimeoutMs ?? DBNull.Value });
        sql.Parameters.AddWithValue("created", command.CreatedAt);
        sql.Parameters.Add(new("collect", NpgsqlDbType.Jsonb)
        {
            Value = command.Collect is { } collect ? JsonSerializer.Serialize(collect, Json) : DBNull.Value,
        });
        sql.Parameters.Add(new("idempotency", NpgsqlDbType.Bytea) { Value = (object?)idempotencyId ?? DBNull.Value });
        owner.AddTo(sql.Parameters);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new CommandInsert(reader.GetBoolean(0), reader.GetString(1), reader.GetStringOrNull(2))
            : null;
    }

    /// <summary>The caller's command with its captured output, or null.</summary>
    public async Task<CommandRow?> FindAsync(Ownership owner, string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"SELECT {ColumnsWithOutput} FROM commands c WHERE c.id = @id AND {Ownership.Sql("c")}");
        sql.Parameters.AddWithValue("id", id);
        owner.AddTo(sql.Parameters);
        return await ReadOneAsync(sql, cancellationToken);
    }

    /// <summary>For the platform itself, never on a caller's behalf.</summary>
    public async Task<CommandRow?> FindAsync(string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"SELECT {ColumnsWithOutput} FROM commands c WHERE c.id = @id");
        sql.Parameters.AddWithValue("id", id);
        return await ReadOneAsync(sql, cancellationToken);
    }

    /// <summary>Commands of a sandbox without their output, newest first.</summary>
    public async Task<List<CommandRow>> ListAsync(
        Ownership owner, string sandboxId, ListPosition? after, int limit, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            SELECT {Columns} FROM commands c
            WHERE c.sandbox_id = @sandbox AND {Ownership.Sql("c")}
              AND (@after_id IS NULL OR (c.created_at, c.id) < (@after_created, @after_id))
            ORDER BY c.created_at DESC, c.id DESC LIMIT @limit
            """);
        sql.Parameters.AddWithValue("sandbox", sandboxId);
        sql.Parameters.Add(new("after_id", NpgsqlDbType.Text) { Value = (object?)after?.Id ?? DBNull.Value });
        sql.Parameters.Add(new("after_created", NpgsqlDbType.TimestampTz) { Value = (object?)after?.CreatedAt ?? DBNull.Value });
        sql.Parameters.AddWithValue("limit", limit);
        owner.AddTo(sql.Parameters);
        return await ReadAllAsync(sql, withOutput: false, cancellationToken);
    }

    /// <summary>Commands of a worker's live sandboxes that are not final, or still to be collected: what it adopts after a restart.</summary>
    public async Task<List<CommandRow>> ListActiveOfWorkerAsync(string workerId, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            SELECT {Columns} FROM commands c JOIN sandboxes s ON s.id = c.sandbox_id
            WHERE s.worker_id = @worker AND s.state = ANY(@live) AND (c.finished_at IS NULL OR c.collect_status = 'pending')
            """);
        sql.Parameters.AddWithValue("live", SandboxStates.Live);
        sql.Parameters.AddWithValue("worker", workerId);
        return await ReadAllAsync(sql, withOutput: false, cancellationToken);
    }

    /// <summary>The process is running.</summary>
    public async Task<bool> MarkRunningAsync(string id, DateTimeOffset startedAt, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            $"UPDATE commands SET state = 'running', started_at = @started WHERE id = @id AND state = ANY(@from) RETURNING {LazyCommit.Sql}");
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("started", startedAt);
        sql.Parameters.AddWithValue("from", CommandStates.From(CommandStatus.Running));
        return await sql.ExecuteScalarAsync(cancellationToken) is not null;
    }

    /// <summary>Moves the command to its final state; null when it already had one, which then stands.</summary>
    public async Task<CommandRow?> FinishAsync(string id, CommandEnd end, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            UPDATE commands c SET state = @state, finished_at = @finished, started_at = coalesce(c.started_at, @started),
                exit_code = @exit_code, stdout = @stdout, stderr = @stderr, stdout_truncated = @stdout_truncated,
                stderr_truncated = @stderr_truncated, cancel_mode = @cancel_mode, canceled_at = @canceled_at,
                termination_signal = @signal, killed_reason = @killed_reason, failure_code = @failure_code,
                failure_message = @failure_message, oldest_seq = @oldest_seq, last_seq = @last_seq, {CollectSql.CommandEnded}
            WHERE c.id = @id AND c.state = ANY(@from)
            RETURNING {ColumnsWithOutput}
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("state", end.State);
        sql.Parameters.AddWithValue("from", CommandStates.From(end.State));
        sql.Parameters.AddWithValue("finished", end.FinishedAt);
        sql.Parameters.Add(new("started", NpgsqlDbType.TimestampTz) { Value = (object?)end.StartedAt ?? DBNull.Value });
        sql.Parameters.Add(new("exit_code", NpgsqlDbType.Integer) { Value = (object?)end.ExitCode ?? DBNull.Value });
        sql.Parameters.AddWithValue("stdout", end.Stdout);
        sql.Parameters.AddWithValue("stderr", end.Stderr);
        sql.Parameters.AddWithValue("stdout_truncated", end.StdoutTruncated);
        sql.Parameters.AddWithValue("stderr_truncated", end.StderrTruncated);
        sql.Parameters.Add(Text("cancel_mode", end.CancelMode));
        sql.Parameters.Add(new("canceled_at", NpgsqlDbType.TimestampTz) { Value = (object?)end.CanceledAt ?? DBNull.Value });
        sql.Parameters.Add(Text("signal", end.TerminationSignal));
        sql.Parameters.Add(Text("killed_reason", end.KilledReason));
        sql.Parameters.Add(Text("failure_code", end.FailureCode));
        sql.Parameters.Add(Text("failure_message", end.FailureMessage));
        sql.Parameters.AddWithValue("oldest_seq", end.OldestSeq);
        sql.Parameters.AddWithValue("last_seq", end.LastSeq);
        return await ReadOneAsync(sql, cancellationToken);

        static NpgsqlParameter Text(string name, string? value) => new(name, NpgsqlDbType.Text) { Value = (object?)value ?? DBNull.Value };
    }

    /// <summary>The collection is over; null when it was before.</summary>
    public async Task<CommandRow?> FinishCollectAsync(
        string id, string collectStatus, IReadOnlyList<CollectFailure> errors, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            UPDATE commands c SET collect_status = @status, collect_errors = @errors
            WHERE c.id = @id AND c.collect_status = 'pending' AND c.finished_at IS NOT NULL RETURNING {ColumnsWithOutput}
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("status", collectStatus);
        sql.Parameters.Add(new("errors", NpgsqlDbType.Jsonb)
        {
            Value = errors.Count > 0 ? JsonSerializer.Serialize(errors, Json) : DBNull.Value,
        });
        return await ReadOneAsync(sql, cancellationToken);
    }

    /// <summary>
    /// Records what was captured of a command that something else ended, for example with its sandbox; the state stays.
    /// </summary>
    public async Task SaveOutputAsync(string id, CommandEnd end, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("""
            UPDATE commands SET stdout = @stdout, stderr = @stderr, stdout_truncated = @stdout_truncated,
                stderr_truncated = @stderr_truncated, oldest_seq = @oldest_seq, last_seq = @last_seq
            WHERE id = @id AND finished_at IS NOT NULL AND stdout IS NULL
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("stdout", end.Stdout);
        sql.Parameters.AddWithValue("stderr", end.Stderr);
        sql.Parameters.AddWithValue("stdout_truncated", end.StdoutTruncated);
        sql.Parameters.AddWithValue("stderr_truncated", end.StderrTruncated);
        sql.Parameters.AddWithValue("oldest_seq", end.OldestSeq);
        sql.Parameters.AddWithValue("last_seq", end.LastSeq);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The finished log is in object storage.</summary>
    public async Task SaveLogObjectAsync(string id, string objectKey, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("UPDATE commands SET log_object_key = @key WHERE id = @id");
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("key", objectKey);
        await sql.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<CommandRow?> ReadOneAsync(NpgsqlCommand sql, CancellationToken cancellationToken) =>
        (await ReadAllAsync(sql, withOutput: true, cancellationToken)).SingleOrDefault();

    private static async Task<List<CommandRow>> ReadAllAsync(NpgsqlCommand sql, bool withOutput, CancellationToken cancellationToken)
    {
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var rows = new List<CommandRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Read(reader, withOutput));
        }

        return rows;
    }

    private static CommandRow Read(NpgsqlDataReader reader, bool withOutput) => new()
    {
        Id = reader.GetString(0),
        OrgId = reader.GetString(1),
        ProjectId = reader.GetString(2),
        SandboxId = reader.GetString(3),
        Command = reader.GetString(4),
        Cwd = reader.GetString(5),
        State = reader.GetString(6),
        ExitCode = reader.GetIntOrNull(7),
        StdoutTruncated = reader.GetBoolean(8),
        StderrTruncated = reader.GetBoolean(9),
        TimeoutMs = reader.GetLongOrNull(10),
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(11),
        StartedAt = reader.GetTimeOrNull(12),
        FinishedAt = reader.GetTimeOrNull(13),
        CancelMode = reader.GetStringOrNull(14),
        CanceledAt = reader.GetTimeOrNull(15),
        TerminationSignal = reader.GetStringOrNull(16),
        KilledReason = reader.GetStringOrNull(17),
        FailureCode = reader.GetStringOrNull(18),
        FailureMessage = reader.GetStringOrNull(19),
        CollectStatus = reader.GetString(20),
        LogObjectKey = reader.GetStringOrNull(21),
        OldestSeq = reader.GetInt64(22),
        LastSeq = reader.GetInt64(23),
        Collect = reader.IsDBNull(24) ? null : JsonSerializer.Deserialize<CollectPlan>(reader.GetString(24), Json),
        CollectErrors = reader.IsDBNull(25) ? [] : JsonSerializer.Deserialize<CollectFailure[]>(reader.GetString(25), Json)!,
        Stdout = withOutput ? reader.GetBytesOrNull(26) : null,
        Stderr = withOutput ? reader.GetBytesOrNull(27) : null,
    };
}
