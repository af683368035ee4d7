using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>
/// Run rows; the same rules as <see cref="SandboxStore"/>. A change and the events that tell of it are one statement, so that their
/// sequence has no gap and no event tells of what did not happen. Events are given without <c>seq</c>, which the row assigns.
/// </summary>
public sealed partial class WorkspaceRunStore(NpgsqlDataSource database)
{
    private const string Columns = """
        r.id, r.org_id, r.project_id, r.status, r.command, r.timeout_ms, r.keep_sandbox, r.metadata, r.source_metadata, r.artifacts,
        r.allowance, r.template_id, t.slug, v.version, r.template_version_id, r.warm_sandbox_id, r.created_at, r.archive_sha256,
        r.archive_size_bytes, r.archive_key, r.uploaded_at, r.sandbox_id, r.command_id, r.started_at, r.finished_at, r.exit_code,
        r.artifact_ids, r.artifact_errors, r.cleanup_status, r.failure_reason, r.failure_class, r.failure_message,
        r.orchestration_succeeded, r.claimed_by, r.last_seq, r.output_seq, r.output_bytes, r.output_truncated, r.evidence_key,
        r.evidence_sha256, r.closed_at
        """;

    private const string Templates = "JOIN template_versions v ON v.id = r.template_version_id JOIN templates t ON t.id = r.template_id";

    /// <summary>Names in stored JSON.</summary>
    private static readonly JsonSerializerOptions Json = JsonSerializerOptions.Web;

    /// <summary>Adds a run that awaits its archive, with its first event.</summary>
    /// <param name="idempotencyId">Record that is to remember the run, or null.</param>
    public async Task<WorkspaceRunRow> InsertAsync(
        NewWorkspaceRun run, WorkspaceRunEvent first, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH r AS (
                INSERT INTO workspace_runs AS r (id, org_id, project_id, status, command, timeout_ms, keep_sandbox, metadata, source_metadata,
                    artifacts, allowance, template_id, template_version_id, warm_sandbox_id, created_at, artifact_ids, artifact_errors,
                    last_seq, output_seq, output_bytes, output_truncated)
                VALUES (@id, @org, @project, '{WorkspaceRunStatus.AwaitingArchive}', @command, @timeout, @keep, @metadata, @source, @artifacts,
                    @allowance, @template, @version, @warm, @created, ARRAY[]::text[], '[]', 1, 0, 0, false)
                RETURNING r.*),
            told AS (INSERT INTO workspace_run_events (run_id, seq, event) SELECT id, 1, @event FROM r),
            remembered AS (UPDATE idempotency_records SET resource_id = @id WHERE id = @idempotency)
            SELECT {Columns} FROM r {Templates}
            """);
        sql.Parameters.AddWithValue("id", run.Id);
        sql.Parameters.AddWithValue("org", run.OrgId);
        sql.Parameters.AddWithValue("project", run.ProjectId);
        sql.Parameters.AddWithValue("command", run.Command);
        sql.Parameters.AddWithValue("timeout", run.TimeoutMs);
        sql.Parameters.AddWithValue("keep", run.KeepSandbox);
        sql.Parameters.AddWithValue("metadata", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(run.Metadata));
        sql.Parameters.Add(new("source", NpgsqlDbType.Jsonb)
        {
            Value = run.SourceMetadata is { } source ? JsonSerializer.Serialize(source) : DBNull.Value,
        });
        sql.Parameters.AddWithValue("artifacts", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(run.Artifacts, Json));
        sql.Parameters.AddWithValue("allowance", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(run.Allowance, Json));
        sql.Parameters.AddWithValue("template", run.TemplateId);
        sql.Parameters.AddWithValue("version", run.TemplateVersionId);
        sql.Parameters.Add(Text("warm", run.WarmSandboxId));
        sql.Parameters.AddWithValue("created", run.CreatedAt);
        sql.Parameters.AddWithValue("event", Encode(first));
        sql.Parameters.Add(new("idempotency", NpgsqlDbType.Bytea) { Value = (object?)idempotencyId ?? DBNull.Value });
        return (await ReadAllAsync(sql, cancellationToken)).Single();
    }

    /// <summary>The caller's run, or null.</summary>
    public async Task<WorkspaceRunRow?> FindAsync(Ownership owner, string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            $"SELECT {Columns} FROM workspace_runs r {Templates} WHERE r.id = @id AND {Ownership.Sql("r")}");
        sql.Parameters.AddWithValue("id", id);
        owner.AddTo(sql.Parameters);
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }

    /// <summary>For the platform itself, never on a caller's behalf.</summary>
    public async Task<WorkspaceRunRow?> FindAsync(string id, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"SELECT {Columns} FROM workspace_runs r {Templates} WHERE r.id = @id");
        sql.Parameters.AddWithValue("id", id);
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Newest first, at most <c>Limit</c> rows (docs/reference/api.md 10.7).</summary>
    public async Task<List<WorkspaceRunRow>> ListAsync(Ownership owner, WorkspaceRunFilter filter, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand();
        var where = new List<string> { Ownership.Sql("r") };
        owner.AddTo(sql.Parameters);
        if (filter.ProjectId is { } project)
        {
            where.Add("r.project_id = @project");
            sql.Parameters.AddWithValue("project", project);
        }

        if (filter.Status is { } status)
        {
            where.Add("r.status = @status");
            sql.Parameters.AddWithValue("status", status);
        }

        if (filter.Metadata.Count > 0)
        {
            where.Add("r.metadata @> @metadata");
            sql.Parameters.AddWithValue("metadata", NpgsqlDbType.Jsonb, JsonSerializer.Serialize(filter.Metadata));
        }

        if (filter.After is { } after)
        {
            where.Add("(r.created_at, r.id) < (@after_created, @after_id)");
            sql.Parameters.AddWithValue("after_created", after.CreatedAt);
            sql.Parameters.AddWithValue("after_id", after.Id);
        }

        sql.CommandText = $"""
            SELECT {Columns} FROM workspace_runs r {Templates} WHERE {string.Join(" AND ", where)}
            ORDER BY r.created_at DESC, r.id DESC LIMIT @limit
            """;
        sql.Parameters.AddWithValue("limit", filter.Limit);
        return await ReadAllAsync(sql, cancellationToken);
    }

    /// <summary>
    /// Makes the worker the one that carries the run: when nobody does, when the one that did has lost its lease, or when it is itself
    /// (after a restart). null: it is someone else's, not started, or closed.
    /// </summary>
    public async Task<WorkspaceRunRow?> ClaimAsync(string id, string workerId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            WITH r AS (
                UPDATE workspace_runs r SET claimed_by = @worker WHERE r.id = @id AND {Claimable} RETURNING r.*)
            SELECT {Columns} FROM r {Templates}
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("worker", workerId);
        sql.Parameters.AddWithValue("now", now);
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Runs that <see cref="ClaimAsync"/> would give this worker, oldest first: what Redis lost, and what a dead worker left.</summary>
    public async Task<List<string>> ListClaimableAsync(string workerId, DateTimeOffset now, int limit, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            $"SELECT r.id FROM workspace_runs r WHERE {Claimable} ORDER BY r.started_at LIMIT @limit");
        sql.Parameters.AddWithValue("worker", workerId);
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("limit", limit);
        return await ReadIdsAsync(sql, cancellationToken);
    }

    /// <summary>
    /// Runs that no worker carries and none will: never uploaded and created before <paramref name="unuploadedBefore"/>, uploaded before
    /// <paramref name="unstartedBefore"/> and never started, final but not closed without ever having been a worker's, or unclaimed since
    /// before <paramref name="unclaimedBefore"/>.
    /// </summary>
    public async Task<List<string>> ListAbandonedAsync(
        DateTimeOffset unuploadedBefore, DateTimeOffset unstartedBefore, DateTimeOffset unclaimedBefore, int limit,
        CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"""
            SELECT r.id FROM workspace_runs r LEFT JOIN workers w ON w.id = r.claimed_by
            WHERE r.closed_at IS NULL AND (
                (r.status = '{WorkspaceRunStatus.AwaitingArchive}' AND r.created_at < @unuploaded)
                OR (r.status = '{WorkspaceRunStatus.ArchiveUploaded}' AND r.uploaded_at < @unstarted)
                OR (r.started_at IS NULL AND r.finished_at IS NOT NULL)
                OR (r.started_at < @unclaimed AND (w.id IS NULL OR w.lease_expires_at < @unclaimed)))
            ORDER BY r.created_at LIMIT @limit
            """);
        sql.Parameters.AddWithValue("unuploaded", unuploadedBefore);
        sql.Parameters.AddWithValue("unstarted", unstartedBefore);
        sql.Parameters.AddWithValue("unclaimed", unclaimedBefore);
        sql.Parameters.AddWithValue("limit", limit);
        return await ReadIdsAsync(sql, cancellationToken);
    }

    /// <summary>Events behind <paramref name="afterSeq"/>, ascending.</summary>
    public async Task<List<WorkspaceRunEvent>> ReadEventsAsync(string id, long afterSeq, int limit, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            "SELECT seq, event FROM workspace_run_events WHERE run_id = @id AND seq > @after ORDER BY seq LIMIT @limit");
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("after", afterSeq);
        sql.Parameters.AddWithValue("limit", limit);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var events = new List<WorkspaceRunEvent>();
        while (await reader.ReadAsync(cancellationToken))
        {
            events.Add(JsonSerializer.Deserialize<WorkspaceRunEvent>(reader.GetFieldValue<byte[]>(1), CrowNestJson.Options)! with
            {
                Seq = reader.GetInt64(0),
            });
        }

        return events;
    }

    private const string Claimable = """
        r.started_at IS NOT NULL AND r.closed_at IS NULL
        AND (r.claimed_by IS NULL OR r.claimed_by = @worker
             OR NOT EXISTS (SELECT FROM workers w WHERE w.id = r.claimed_by AND w.lease_expires_at >= @now))
        AND NOT EXISTS (SELECT FROM sandboxes s JOIN workers w ON w.id = s.worker_id
                        WHERE s.id = r.warm_sandbox_id AND s.worker_id <> @worker AND w.lease_expires_at >= @now)
        """;

    private static byte[] Encode(WorkspaceRunEvent item) => JsonSerializer.SerializeToUtf8Bytes(item with { Seq = 0 }, CrowNestJson.Options);

    private static NpgsqlParameter Text(string name, string? value) => new(name, NpgsqlDbType.Text) { Value = (object?)value ?? DBNull.Value };

    private static async Task<List<string>> ReadIdsAsync(NpgsqlCommand sql, CancellationToken cancellationToken)
    {
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var ids = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Add(reader.GetString(0));
        }

        return ids;
    }

    private static async Task<List<WorkspaceRunRow>> ReadAllAsync(NpgsqlCommand sql, CancellationToken cancellationToken)
    {
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var rows = new List<WorkspaceRunRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Read(reader));
        }

        return rows;
    }
}
