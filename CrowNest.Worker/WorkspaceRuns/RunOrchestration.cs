using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Worker.Templates;
using CrowNest.Worker.WorkspaceRuns.Claiming;
using CrowNest.Worker.WorkspaceRuns.Stages;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.WorkspaceRuns;

/// <summary>
/// Carries a run from wherever its row stands to <c>terminal</c>, stage by stage (docs/reference/api.md 10.2). Every stage may be begun
/// again: by this process after a failure, by the next one after a crash, by another worker when this one is lost.
/// </summary>
internal sealed partial class RunOrchestration(
    WorkspaceRunStore store, RunWakeUps wakeUps, RunSandboxes sandboxes, RunExtraction extraction, RunCommand command,
    RunCollection collection, ClaimedRunCompletion ending, TemplateImages templates, IOptions<WorkerOptions> options, TimeProvider clock,
    ILogger<RunOrchestration> logger)
{
    /// <summary>Failures of one stage that nobody has thought of, before the run fails with them.</summary>
    private const int MaxUnexpectedFailures = 5;
    private const int MaxBackoffMs = 2000;

    /// <summary>The first and every tenth: someone who looks on sees what is waited for.</summary>
    private const int LogEvery = 10;

    /// <summary>The run's own changes wake its watch, too; while it prints there are many.</summary>
    private static readonly TimeSpan WatchPause = TimeSpan.FromMilliseconds(100);

    /// <summary>Whether this node could make the run's sandbox at all.</summary>
    public async Task<bool> CanCarryAsync(WorkspaceRunRow run, CancellationToken cancellationToken) =>
        run.IsFinal || run.WarmSandboxId is not null || run.Status != WorkspaceRunStatus.Starting
        || await templates.FindAsync(run.TemplateVersionId, cancellationToken) is not null;

    /// <summary>Returns when nothing is left to do for this worker.</summary>
    /// <exception cref="OperationCanceledException">This process stops; the next one goes on.</exception>
    public async Task CarryAsync(ClaimedRun run, CancellationToken stopping)
    {
        using var activity = WorkerTelemetry.Activities.StartActivity("workspace_run");
        activity?.SetTag("crownest.run_id", run.Id).SetTag("crownest.org_id", run.Row.OrgId);
        using var scope = logger.BeginScope(new Dictionary<string, object> { ["crownest.run_id"] = run.Id });
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        var watching = WatchAsync(run, over.Token);
        try
        {
            await CarryOnAsync(run, stopping);
            activity?.SetTag("crownest.run_status", run.Row.Status).SetTag("crownest.run_failure", run.Row.FailureReason);
        }
        finally
        {
            await over.CancelAsync();
            await watching;
        }
    }

    private async Task CarryOnAsync(ClaimedRun run, CancellationToken stopping)
    {
        var failures = 0;
        var surprises = 0;
        while (true)
        {
            var seq = run.Row.LastSeq;
            try
            {
                if (!await run.RefreshAsync(stopping))
                {
                    return;
                }

                await StepAsync(run, stopping);
                failures = surprises = 0;
                continue;
            }
            catch (RunMovedException)
            {
                continue;
            }
            catch (RunFailedException failure)
            {
                LogFailed(failure, run.Id, failure.Reason, failure.Message);
                run.Verdict = new WorkspaceRunEnd(WorkspaceRunStatus.Failed, clock.GetUtcNow(), failure.Reason, failure.Message);
                continue;
            }
            catch (OperationCanceledException) when (run.Interrupted.IsCancellationRequested && !stopping.IsCancellationRequested)
            {
                // The row says why.
                continue;
            }
            catch (Exception exception) when (!stopping.IsCancellationRequested)
            {
                failures = run.Row.LastSeq > seq ? 1 : failures + 1;
                surprises = WorkerRetries.IsDatabaseAway(exception) ? surprises : surprises + 1;
                if (failures % LogEvery == 1)
                {
                    LogStepFailed(exception, run.Id, run.Row.Status, failures);
                }
            }

            stopping.ThrowIfCancellationRequested();
            if (surprises >= MaxUnexpectedFailures && !run.Row.IsFinal)
            {
                run.Verdict ??= new WorkspaceRunEnd(
                    WorkspaceRunStatus.Failed, clock.GetUtcNow(), WorkspaceRunFailure.InternalError, "The platform failed unexpectedly.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(20 << Math.Min(failures, 10), MaxBackoffMs)), clock, stopping);
        }
    }

    /// <summary>One stage. It returns when the row, or the verdict, says that it is over.</summary>
    private async Task StepAsync(ClaimedRun run, CancellationToken stopping)
    {
        if (run.Row.IsFinal && run.Row.EvidenceKey is not null)
        {
            run.WantsRoom = false;
            await ending.CloseAsync(run, stopping);
            return;
        }

        if (run.Row.IsFinal || run.Verdict is not null)
        {
            run.WantsRoom = false;
            await ending.FinishAsync(run, stopping);
            return;
        }

        using var work = CancellationTokenSource.CreateLinkedTokenSource(stopping, run.Interrupted);
        switch (run.Row.Status)
        {
            case WorkspaceRunStatus.Starting:
                await sandboxes.ObtainAsync(run, work.Token);
                await run.AdvanceAsync(WorkspaceRunStatus.Extracting, work.Token);
                break;
            case WorkspaceRunStatus.Extracting:
                if (!await command.IsStartedAsync(run, work.Token))
                {
                    var sandbox = await sandboxes.ObtainAsync(run, work.Token);
                    await extraction.ExtractAsync(run, sandbox, work.Token);
                    await command.QueueAsync(run, work.Token);
                }

                await run.AdvanceAsync(WorkspaceRunStatus.Running, work.Token);
                break;
            case WorkspaceRunStatus.Running:
                await command.RunAsync(run, work.Token);
                await run.AdvanceAsync(WorkspaceRunStatus.Collecting, work.Token);
                break;
            case WorkspaceRunStatus.Collecting:
                await collection.CollectAsync(run, work.Token);
                run.Verdict = await command.JudgeAsync(run, work.Token);
                break;
            default:
                throw new InvalidOperationException($"Run {run.Id} is {run.Row.Status} and nobody's to carry.");
        }
    }

    /// <summary>Notices what others do to the run: a cancel, or a claim after this worker's lease had lapsed.</summary>
    private async Task WatchAsync(ClaimedRun run, CancellationToken over)
    {
        try
        {
            await using var subscription = await wakeUps.SubscribeAsync(run.Id, over);
            while (true)
            {
                var woken = subscription.Next;
                if (await TryFindAsync(run.Id, over) is { } standing && (standing.IsFinal || standing.ClaimedBy != run.WorkerId))
                {
                    run.Interrupt();
                    return;
                }

                await subscription.WaitAsync(woken, options.Value.Runs.PollInterval, clock, over);
                await Task.Delay(WatchPause, clock, over);
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // Nobody carries it here any more.
        }
        catch (Exception exception)
        {
            // Each stage looks at the row again, and every change is conditional: only the notice comes later.
            LogWatchFailed(exception, run.Id);
        }
    }

    private async Task<WorkspaceRunRow?> TryFindAsync(string runId, CancellationToken cancellationToken)
    {
        try
        {
            return await store.FindAsync(runId, cancellationToken);
        }
        catch (Exception exception) when (WorkerRetries.IsDatabaseAway(exception))
        {
            return null;
        }
    }

    [LoggerMessage(6410, LogLevel.Information, "Run {RunId} fails: {Reason}, {Text}")]
    private partial void LogFailed(Exception exception, string runId, string reason, string text);

    [LoggerMessage(6411, LogLevel.Warning, "Run {RunId}: {Status} is begun again, failure {Failures} in a row")]
    private partial void LogStepFailed(Exception exception, string runId, string status, int failures);

    [LoggerMessage(6412, LogLevel.Warning, "Run {RunId} is not watched any more")]
    private partial void LogWatchFailed(Exception exception, string runId);
}
