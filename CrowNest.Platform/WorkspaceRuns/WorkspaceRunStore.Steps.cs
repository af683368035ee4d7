using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.WorkspaceRuns;

/// <content>The steps of a run: each a conditional change and the events that tell of it. null always means that someone was first.</content>
public sealed partial class WorkspaceRunStore
{
    /// <summary>The verified archive is in storage.</summary>
    public Task<WorkspaceRunRow?> MarkArchiveUploadedAsync(
        string id, string sha256, long sizeBytes, string key, DateTimeOffset now, IReadOnlyList<WorkspaceRunEvent> events,
        CancellationToken cancellationToken) =>
        MoveAsync(id, WorkspaceRunStatus.ArchiveUploaded, null,
            "archive_sha256 = @sha, archive_size_bytes = @size, archive_key = @key, uploaded_at = @now", events, cancellationToken,
            new("sha", sha256), new("size", sizeBytes), new("key", key), new("now", now));

    /// <summary>Its owner wants it to run; from now on it is a worker's.</summary>
    public Task<WorkspaceRunRow?> MarkStartingAsync(string id, DateTimeOffset now, WorkspaceRunEvent told, CancellationToken cancellationToken) =>
        MoveAsync(id, WorkspaceRunStatus.Starting, null,
            $"""
            started_at = @now, cleanup_status = CASE WHEN r.keep_sandbox OR r.warm_sandbox_id IS NOT NULL
                THEN '{WorkspaceRunCleanup.NotRequested}' ELSE '{WorkspaceRunCleanup.Pending}' END
            """,
            [told], cancellationToken, new NpgsqlParameter("now", now));

    /// <summary>
    /// Names the sandbox before it is made, so that a crash leaves none that nobody knows of. Also instead of one that was lost before the
    /// command was started in it.
    /// </summary>
    public Task<WorkspaceRunRow?> AssignSandboxAsync(string id, string workerId, string sandboxId, CancellationToken cancellationToken) =>
        ChangeAsync(id, "sandbox_id = @sandbox", $"r.claimed_by = @worker AND {BeforeCommand}", [], cancellationToken,
            new("sandbox", sandboxId), new("worker", workerId));

    /// <summary>
    /// Takes the sandbox that the caller named; null also when it is busy, or another run's. Two runs that ask at the same moment would
    /// both get it: only the worker that has the sandbox asks, one run after the other.
    /// </summary>
    public Task<WorkspaceRunRow?> AssignWarmSandboxAsync(string id, string workerId, string sandboxId, CancellationToken cancellationToken) =>
        ChangeAsync(id, "sandbox_id = @sandbox",
            $"""
            r.claimed_by = @worker AND {BeforeCommand} AND r.warm_sandbox_id = @sandbox
            AND NOT EXISTS (SELECT FROM commands c WHERE c.sandbox_id = @sandbox AND c.finished_at IS NULL)
            AND NOT EXISTS (SELECT FROM workspace_runs o
                            WHERE o.closed_at IS NULL AND o.started_at IS NOT NULL AND o.sandbox_id = @sandbox AND o.id <> r.id)
            """,
            [], cancellationToken, new("sandbox", sandboxId), new("worker", workerId));

    /// <summary>A step of the worker that carries it: <c>extracting</c>, <c>running</c> or <c>collecting</c>.</summary>
    public Task<WorkspaceRunRow?> AdvanceAsync(
        string id, string workerId, string to, WorkspaceRunEvent told, CancellationToken cancellationToken) =>
        MoveAsync(id, to, workerId, "claimed_by = r.claimed_by", [told], cancellationToken);

    /// <summary>Names the command before it is started, so that it is started once.</summary>
    public Task<WorkspaceRunRow?> AssignCommandAsync(string id, string workerId, string commandId, CancellationToken cancellationToken) =>
        ChangeAsync(id, "command_id = @command", "r.claimed_by = @worker AND r.command_id IS NULL", [], cancellationToken,
            new("command", commandId), new("worker", workerId));

    /// <summary>Appends output of the command up to <paramref name="outputSeq"/> of its log; what was appended before is not repeated.</summary>
    public Task<WorkspaceRunRow?> AppendOutputAsync(
        string id, string workerId, long fromSeq, long outputSeq, long bytes, bool truncated, IReadOnlyList<WorkspaceRunEvent> events,
        CancellationToken cancellationToken) =>
        ChangeAsync(id, "output_seq = @to, output_bytes = r.output_bytes + @bytes, output_truncated = r.output_truncated OR @truncated",
            "r.claimed_by = @worker AND r.output_seq = @from AND r.status = ANY(@carried)", events, cancellationToken,
            new("worker", workerId), new("from", fromSeq), new("to", outputSeq), new("bytes", bytes), new("truncated", truncated),
            new("carried", WorkspaceRunStates.Carried));

    /// <summary>Appends events that change nothing else, for example that something is waited for.</summary>
    /// <param name="workerId">null: the run is nobody's.</param>
    public Task<WorkspaceRunRow?> AppendAsync(
        string id, string? workerId, IReadOnlyList<WorkspaceRunEvent> events, CancellationToken cancellationToken) =>
        ChangeAsync(id, "claimed_by = r.claimed_by", "r.closed_at IS NULL AND r.claimed_by IS NOT DISTINCT FROM @worker", events,
            cancellationToken, Text("worker", workerId));

    /// <summary>One requested file has been collected, or could not be.</summary>
    public Task<WorkspaceRunRow?> AddCollectedAsync(
        string id, string workerId, string? artifactId, CollectFailure? failure, WorkspaceRunEvent told, CancellationToken cancellationToken) =>
        ChangeAsync(id,
            """
            artifact_ids = CASE WHEN @artifact IS NULL THEN r.artifact_ids ELSE array_append(r.artifact_ids, @artifact) END,
            artifact_errors = CASE WHEN @failure IS NULL THEN r.artifact_errors ELSE r.artifact_errors || @failure END
            """,
            $"r.claimed_by = @worker AND r.status = '{WorkspaceRunStatus.Collecting}'", [told], cancellationToken,
            new("worker", workerId), Text("artifact", artifactId),
            new("failure", NpgsqlDbType.Jsonb) { Value = failure is null ? DBNull.Value : JsonSerializer.Serialize(failure, Json) });

    /// <summary>The command's exit code, as soon as it is known.</summary>
    public Task<WorkspaceRunRow?> SaveExitCodeAsync(string id, string workerId, int exitCode, CancellationToken cancellationToken) =>
        ChangeAsync(id, "exit_code = @code", "r.claimed_by = @worker AND r.closed_at IS NULL", [], cancellationToken,
            new("worker", workerId), new("code", exitCode));

    /// <summary>Ends the run by a cancel; its evidence follows. null: it was final, or there is none.</summary>
    public Task<WorkspaceRunRow?> CancelAsync(
        Ownership owner, string id, DateTimeOffset now, WorkspaceRunEvent told, CancellationToken cancellationToken)
    {
        var parameters = new List<NpgsqlParameter> { new("now", now), new("from", WorkspaceRunStates.From(WorkspaceRunStatus.Canceled)) };
        using var owned = new NpgsqlCommand();
        owner.AddTo(owned.Parameters);
        parameters.AddRange(owned.Parameters.Select(p => p.Clone()));
        return ChangeAsync(id, Canceled, $"r.status = ANY(@from) AND {Ownership.Sql("r")}", [told], cancellationToken, [.. parameters]);
    }

    /// <summary>The platform cancels a run that was never started; its evidence follows. null: it waits for its start no more.</summary>
    public Task<WorkspaceRunRow?> WithdrawAsync(
        string id, DateTimeOffset now, string message, WorkspaceRunEvent told, CancellationToken cancellationToken) =>
        ChangeAsync(id, $"{Canceled}, failure_message = @message", $"r.status = '{WorkspaceRunStatus.ArchiveUploaded}'", [told],
            cancellationToken, new("now", now), new("message", message));

    /// <summary>
    /// Ends the run together with its evidence, which names the <c>seq</c> of the events to come and so must find
    /// <paramref name="lastSeq"/>. null: something has happened since the evidence was made; make it anew.
    /// </summary>
    /// <param name="workerId">null: the run is nobody's.</param>
    public Task<WorkspaceRunRow?> FinishAsync(
        string id, string? workerId, WorkspaceRunEnd end, StoredEvidence evidence, long lastSeq, WorkspaceRunEvent told,
        CancellationToken cancellationToken) =>
        ChangeAsync(id,
            $"""
            status = @to, finished_at = @now, failure_reason = @reason, failure_class = @class, failure_message = @message,
            orchestration_succeeded = @orchestrated, evidence_key = @key, evidence_sha256 = @sha,
            cleanup_status = coalesce(r.cleanup_status, '{WorkspaceRunCleanup.NotRequested}')
            """,
            "r.status = ANY(@from) AND r.claimed_by IS NOT DISTINCT FROM @worker AND r.last_seq = @last", [told], cancellationToken,
            new("to", end.Status), new("from", WorkspaceRunStates.From(end.Status)), new("now", end.FinishedAt), Text("worker", workerId),
            Text("reason", end.FailureReason), Text("class", end.FailureReason is { } reason ? WorkspaceRunFailure.ClassOf(reason) : null),
            Text("message", end.FailureMessage), new("orchestrated", OrchestrationSucceeded(end)), new("key", evidence.Key),
            new("sha", evidence.Sha256), new("last", lastSeq));

    /// <summary>The evidence of a run that is final already; the same rule of <paramref name="lastSeq"/>.</summary>
    public Task<WorkspaceRunRow?> SaveEvidenceAsync(
        string id, string? workerId, StoredEvidence evidence, long lastSeq, CancellationToken cancellationToken) =>
        ChangeAsync(id, "evidence_key = @key, evidence_sha256 = @sha",
            "r.finished_at IS NOT NULL AND r.evidence_key IS NULL AND r.claimed_by IS NOT DISTINCT FROM @worker AND r.last_seq = @last", [],
            cancellationToken, Text("worker", workerId), new("key", evidence.Key), new("sha", evidence.Sha256), new("last", lastSeq));

    /// <summary>What became of the sandbox: the one thing that changes after the evidence is stored.</summary>
    public Task<WorkspaceRunRow?> SaveCleanupAsync(string id, string cleanupStatus, CancellationToken cancellationToken) =>
        ChangeAsync(id, "cleanup_status = @cleanup", $"r.cleanup_status = '{WorkspaceRunCleanup.Pending}'", [], cancellationToken,
            new NpgsqlParameter("cleanup", cleanupStatus));

    /// <summary>Appends <c>terminal</c>: nothing is left to do. null: it was closed before, or its evidence is not stored.</summary>
    public Task<WorkspaceRunRow?> CloseAsync(string id, WorkspaceRunEvent terminal, DateTimeOffset now, CancellationToken cancellationToken) =>
        ChangeAsync(id, "closed_at = @now", "r.closed_at IS NULL AND r.evidence_key IS NOT NULL AND r.finished_at IS NOT NULL", [terminal],
            cancellationToken, new NpgsqlParameter("now", now));

    private const string Canceled = $"""
        status = '{WorkspaceRunStatus.Canceled}', finished_at = @now, failure_class = '{WorkspaceRunFailure.ClassCanceled}',
        orchestration_succeeded = true, cleanup_status = coalesce(r.cleanup_status, '{WorkspaceRunCleanup.NotRequested}')
        """;

    private const string BeforeCommand = $"""
        r.status IN ('{WorkspaceRunStatus.Starting}', '{WorkspaceRunStatus.Extracting}')
        AND NOT EXISTS (SELECT FROM commands c WHERE c.id = r.command_id)
        """;

    /// <summary>The platform has done its part unless the failure is the platform's.</summary>
    private static bool OrchestrationSucceeded(WorkspaceRunEnd end) =>
        end.FailureReason is not { } reason || WorkspaceRunFailure.ClassOf(reason) != WorkspaceRunFailure.ClassPlatform;

    private Task<WorkspaceRunRow?> MoveAsync(
        string id, string to, string? workerId, string set, IReadOnlyList<WorkspaceRunEvent> events, CancellationToken cancellationToken,
        params NpgsqlParameter[] parameters) =>
        ChangeAsync(id, $"status = @to, {set}", "r.status = ANY(@from) AND r.claimed_by IS NOT DISTINCT FROM @worker", events,
            cancellationToken,
            [.. parameters, new("to", to), new("from", WorkspaceRunStates.From(to)), Text("worker", workerId)]);

    private async Task<WorkspaceRunRow?> ChangeAsync(
        string id, string set, string where, IReadOnlyList<WorkspaceRunEvent> events, CancellationToken cancellationToken,
        params NpgsqlParameter[] parameters)
    {
        await using var sql = database.CreateCommand($"""
            WITH r AS (
                UPDATE workspace_runs r SET {set}, last_seq = r.last_seq + cardinality(@events) WHERE r.id = @id AND {where} RETURNING r.*),
            told AS (
                INSERT INTO workspace_run_events (run_id, seq, event)
                SELECT r.id, r.last_seq - cardinality(@events) + e.n, e.event FROM r, unnest(@events) WITH ORDINALITY AS e (event, n))
            SELECT {Columns} FROM r {Templates}
            """);
        sql.Parameters.AddWithValue("id", id);
        sql.Parameters.AddWithValue("events", NpgsqlDbType.Array | NpgsqlDbType.Bytea, events.Select(Encode).ToArray());
        sql.Parameters.AddRange(parameters);
        return (await ReadAllAsync(sql, cancellationToken)).SingleOrDefault();
    }
}
