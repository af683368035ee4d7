using CrowNest.Contracts;
using CrowNest.Platform.Data;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using Npgsql;

namespace CrowNest.Worker.Artifacts;

/// <summary>Exports what a final command was to be collected of (api.md 5.4).</summary>
internal sealed partial class CommandCollection(
    EntryExport export, CommandStore commands, TimeProvider clock, ILogger<CommandCollection> logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <summary>How long, all entries together, an object store that is away is tried again.</summary>
    internal TimeSpan StoragePatience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Collects when that is pending; returns the row that stands then.</summary>
    /// <exception cref="OperationCanceledException">This process stops; the next one goes on.</exception>
    public async Task<CommandRow> CollectAsync(CommandRow final, LiveSandbox sandbox, CancellationToken stopping)
    {
        if (final is not { CollectStatus: CollectStatus.Pending, Collect: { } plan })
        {
            return final;
        }

        using var activity = Telemetry.Activities.StartActivity("command.collect");
        activity?.SetTag("crownest.command_id", final.Id).SetTag("crownest.collect_entries", plan.Entries.Count);
        var giveUpStorage = clock.GetUtcNow() + StoragePatience;
        var failures = new List<CollectFailure>();
        for (var i = 0; i < plan.Entries.Count; i++)
        {
            if (await CollectEntryAsync(final, plan, i, sandbox, giveUpStorage, stopping) is { } failure)
            {
                LogEntryFailed(final.Id, i, failure.Code, failure.Message);
                failures.Add(failure);
            }
        }

        var status = failures.Count == 0 ? CollectStatus.Succeeded
            : failures.Count < plan.Entries.Count ? CollectStatus.Partial : CollectStatus.Failed;
        var row = await FinishAsync(final.Id, status, failures, stopping);
        activity?.SetTag("crownest.collect_status", row.CollectStatus);
        ArtifactMetrics.Collections.Add(1, new KeyValuePair<string, object?>("status", row.CollectStatus));
        return row;
    }

    /// <returns>null when the entry is an artifact.</returns>
    private async Task<CollectFailure?> CollectEntryAsync(
        CommandRow command, CollectPlan plan, int index, LiveSandbox sandbox, DateTimeOffset giveUpStorage, CancellationToken stopping)
    {
        var entry = new ExportEntry(command.Id, index, command.OrgId, plan.Entries[index], plan.RetentionMs, plan.MaxBytes);
        for (var pause = FirstPause; ; pause = 2 * pause < LongestPause ? 2 * pause : LongestPause)
        {
            stopping.ThrowIfCancellationRequested();
            try
            {
                return await export.RunAsync(entry, sandbox, stopping);
            }
            catch (WorkerException failure)
            {
                if (clock.GetUtcNow() + pause >= giveUpStorage)
                {
                    return new CollectFailure(CollectFailure.Failed, failure.Message, entry.Item.Path);
                }

                LogTriedAgain(failure, command.Id, index);
            }
            catch (Exception failure) when (failure is NpgsqlException or TimeoutException)
            {
                // The end of the collection could not be written either.
                LogTriedAgain(failure, command.Id, index);
                if (sandbox.Ended.IsCancellationRequested)
                {
                    return new CollectFailure(
                        CollectFailure.Failed, "The sandbox was gone before the file could be exported.", entry.Item.Path);
                }
            }

            await Task.Delay(pause, clock, stopping);
        }
    }

    /// <summary>Writes the end until it is written; the row that stands, which is another's when the sandbox ended first.</summary>
    private async Task<CommandRow> FinishAsync(
        string commandId, string status, List<CollectFailure> failures, CancellationToken stopping)
    {
        for (var pause = FirstPause; ; pause = 2 * pause < LongestPause ? 2 * pause : LongestPause)
        {
            try
            {
                if (await commands.FinishCollectAsync(commandId, status, failures, stopping) is { } finished)
                {
                    return finished;
                }

                if (await commands.FindAsync(commandId, stopping) is { } standing)
                {
                    return standing;
                }
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
            {
                LogNotWritten(exception, commandId);
            }

            await Task.Delay(pause, clock, stopping);
        }
    }

    [LoggerMessage(6321, LogLevel.Information, "Command {CommandId}: entry {Index} is not collected: {Code} {Reason}")]
    private partial void LogEntryFailed(string commandId, int index, string code, string reason);

    [LoggerMessage(6322, LogLevel.Warning, "Command {CommandId}: entry {Index} could not be collected yet")]
    private partial void LogTriedAgain(Exception exception, string commandId, int index);

    [LoggerMessage(6323, LogLevel.Warning, "The end of the collection of {CommandId} could not be written yet")]
    private partial void LogNotWritten(Exception exception, string commandId);
}
