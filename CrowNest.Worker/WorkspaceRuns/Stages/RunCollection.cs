using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Tenancy;
using CrowNest.Worker.Artifacts;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.WorkspaceRuns.Claiming;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Worker.WorkspaceRuns.Stages;

/// <summary>
/// Makes the requested files of a run artifacts, one after the other: an event and a place in the row for each, so that the row tells where
/// to go on. Files that cannot be collected do not change the run's outcome (docs/reference/api.md 10.2).
/// </summary>
internal sealed partial class RunCollection(
    EntryExport export, ArtifactStore artifacts, LiveSandboxes live, WorkerRetries retries, IOptions<WorkerOptions> options,
    TimeProvider clock, ILogger<RunCollection> logger)
{
    /// <exception cref="RunFailedException">The sandbox was lost before everything was collected.</exception>
    public async Task CollectAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        var entries = run.Row.Artifacts;
        if (Done(run) == entries.Count)
        {
            return;
        }

        using var stage = RunStage.Enter(run, "collect", clock);
        stage.SetTag("crownest.collect_entries", entries.Count);
        var giveUpAt = clock.GetUtcNow() + options.Value.Runs.StoragePatience;
        if (!live.TryGet(run.Row.SandboxId!, out var sandbox))
        {
            while (Done(run) < entries.Count)
            {
                await run.AddNotCollectedAsync(
                    Failed(entries[Done(run)], "The sandbox was gone before the file could be exported."), cancellationToken);
            }

            throw new RunFailedException(WorkspaceRunFailure.InternalError, "The sandbox was lost before its files were collected.");
        }

        while (Done(run) < entries.Count)
        {
            await CollectEntryAsync(run, Done(run), sandbox, giveUpAt, cancellationToken);
        }
    }

    /// <summary>Entries are collected in their order, and each leaves exactly one of the two.</summary>
    private static int Done(ClaimedRun run) => run.Row.ArtifactIds.Count + run.Row.ArtifactErrors.Count;

    private static CollectFailure Failed(CollectItem item, string message) => new(CollectFailure.Failed, message, item.Path);

    private async Task CollectEntryAsync(
        ClaimedRun run, int index, LiveSandbox sandbox, DateTimeOffset giveUpAt, CancellationToken cancellationToken)
    {
        var row = run.Row;
        var entry = new ExportEntry(
            row.Id, index, row.OrgId, row.Artifacts[index], row.Allowance.ArtifactRetentionMs, row.Allowance.ArtifactMaxBytes);
        try
        {
            if (await retries.StoreAsync(
                $"Collecting entry {index} of run {run.Id}", token => export.RunAsync(entry, sandbox, token), cancellationToken, giveUpAt,
                _ => run.TellAsync("An artifact cannot be stored now; it is tried again.", cancellationToken)) is { } failure)
            {
                LogNotCollected(run.Id, index, failure.Code, failure.Message);
                await run.AddNotCollectedAsync(failure, cancellationToken);
                return;
            }
        }
        catch (WorkerException failure) when (failure.Code == ErrorCodes.DownloadExportFailed)
        {
            await run.AddNotCollectedAsync(Failed(entry.Item, failure.Message), cancellationToken);
            return;
        }

        try
        {
            await run.AddCollectedAsync(entry.ArtifactId, entry.Item.Path, cancellationToken);
        }
        catch (Exception exception) when (exception is RunMovedException || run.Interrupted.IsCancellationRequested)
        {
            // Canceled this moment: an artifact that no run names was not asked for.
            await DiscardAsync(run, entry.ArtifactId);
            throw;
        }
    }

    private async Task DiscardAsync(ClaimedRun run, string artifactId)
    {
        try
        {
            if (await run.RefreshAsync(CancellationToken.None) && run.Row.IsFinal && !run.Row.ArtifactIds.Contains(artifactId))
            {
                await artifacts.DeleteAsync(new Ownership(run.Row.OrgId, null), artifactId, clock.GetUtcNow(), CancellationToken.None);
            }
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            LogNotDiscarded(exception, run.Id, artifactId);
        }
    }

    [LoggerMessage(6450, LogLevel.Information, "Run {RunId}: entry {Index} is not collected: {Code} {Reason}")]
    private partial void LogNotCollected(string runId, int index, string code, string reason);

    [LoggerMessage(6452, LogLevel.Warning, "Run {RunId}: artifact {ArtifactId} came too late and could not be removed")]
    private partial void LogNotDiscarded(Exception exception, string runId, string artifactId);
}
