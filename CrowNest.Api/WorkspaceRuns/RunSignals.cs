using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.WorkspaceRuns;
using StackExchange.Redis;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>
/// Tells workers and followers that a run has changed (docs/protocols.md 9). Postgres has the truth, and everyone looks there from time to
/// time: a Redis that is away makes it slower, not wrong.
/// </summary>
internal sealed partial class RunSignals(
    RunJobs jobs, RunWakeUps wakeUps, SandboxStore sandboxes, ILogger<RunSignals> logger)
{
    /// <summary>The run has new events.</summary>
    public Task ChangedAsync(string runId) => wakeUps.PublishAsync(runId);

    /// <summary>The run waits for a worker.</summary>
    public async Task StartedAsync(WorkspaceRunRow run, CancellationToken cancellationToken)
    {
        var workerId = run.WarmSandboxId is { } warm ? (await sandboxes.FindAsync(warm, cancellationToken))?.WorkerId : null;
        try
        {
            await jobs.EnqueueAsync(run.Id, workerId);
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            LogNotQueued(run.Id, e);
        }

        await ChangedAsync(run.Id);
    }

    [LoggerMessage(2500, LogLevel.Warning, "Run {RunId} is not in the queue; a worker will find it in the database.")]
    private partial void LogNotQueued(string runId, Exception exception);
}
