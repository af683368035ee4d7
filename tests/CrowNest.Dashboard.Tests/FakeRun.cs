using CrowNest.Contracts;

namespace CrowNest.Dashboard.Tests;

/// <summary>A workspace run whose events the test writes while somebody follows it.</summary>
internal sealed class FakeRun(string owner, WorkspaceRun run)
{
    private readonly Lock _lock = new();
    private readonly List<WorkspaceRunEvent> _events = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource _connection = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Owner => owner;

    public string Id => Run.Id;

    public WorkspaceRun Run { get; private set; } = run;

    public WorkspaceRunEvidence? Evidence { get; set; }

    /// <summary>While true the stored evidence cannot be read.</summary>
    public bool IsStoreAway { get; set; }

    /// <summary>Completes with the next event.</summary>
    public Task Changed
    {
        get
        {
            lock (_lock)
                return _changed.Task;
        }
    }

    /// <summary>Completes when the test breaks what is connected.</summary>
    public Task Connection
    {
        get
        {
            lock (_lock)
                return _connection.Task;
        }
    }

    public FakeRun Enter(string status, string? message = null, DateTimeOffset? at = null) => Tell(
        new WorkspaceRunEvent
        {
            Type = WorkspaceRunEventType.Status,
            Seq = 0,
            CreatedAt = at ?? DateTimeOffset.UtcNow,
            Status = status,
            Message = message,
        },
        run => run with { Status = status });

    public FakeRun Write(string data, string stream = WorkspaceRunEventType.Stdout) => Tell(stream, told => told with { Data = data });

    public FakeRun Tell(string type, Func<WorkspaceRunEvent, WorkspaceRunEvent> change) =>
        Tell(change(new WorkspaceRunEvent { Type = type, Seq = 0, CreatedAt = DateTimeOffset.UtcNow }), run => run);

    /// <summary>Ends it, with evidence, and says so.</summary>
    public FakeRun End(string status, Func<WorkspaceRun, WorkspaceRun> change, DateTimeOffset? at = null)
    {
        Enter(status, at: at);
        lock (_lock)
        {
            Run = change(Run) with
            {
                Status = status,
                FinishedAt = at ?? DateTimeOffset.UtcNow,
                DurationMs = 12_345,
                EvidenceAvailable = true,
                CleanupStatus = WorkspaceRunCleanup.Succeeded,
            };
            Evidence = EvidenceOf(Run, _events.Count + 1);
        }

        return Tell(WorkspaceRunEventType.Terminal, told => told with { WorkspaceRun = Run });
    }

    public void BreakConnections()
    {
        lock (_lock)
        {
            var broken = _connection;
            _connection = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            broken.SetResult();
        }
    }

    public IReadOnlyList<WorkspaceRunEvent> After(long seq)
    {
        lock (_lock)
            return [.. _events.Skip((int)seq)];
    }

    private FakeRun Tell(WorkspaceRunEvent told, Func<WorkspaceRun, WorkspaceRun> change)
    {
        lock (_lock)
        {
            Run = change(Run);
            _events.Add(told with { Seq = _events.Count + 1 });
            var changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            changed.SetResult();
        }

        return this;
    }

    private static WorkspaceRunEvidence EvidenceOf(WorkspaceRun run, long terminalSeq) => new()
    {
        WorkspaceRunId = run.Id,
        OrgId = run.OrgId,
        ProjectId = run.ProjectId,
        Status = run.Status,
        Command = run.Command,
        CreatedAt = run.CreatedAt,
        Metadata = run.Metadata,
        ArtifactErrors = run.ArtifactErrors ?? [],
        ArtifactIds = run.ArtifactIds ?? [],
        EnvKeys = [],
        CleanupStatus = run.CleanupStatus!,
        OrchestrationSucceeded = true,
        ExitCode = run.ExitCode,
        FailureReason = run.FailureReason,
        TemplateId = run.TemplateId,
        TemplateSlug = run.TemplateSlug,
        TemplateVersion = run.TemplateVersion,
        TemplateVersionId = run.TemplateVersionId,
        Artifacts = [],
        TerminalEvent = new EvidenceTerminalEvent(terminalSeq, run.FinishedAt!.Value, run.Status),
        EvidenceSha256 = new string('e', 64),
    };
}
