using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using Npgsql;

namespace CrowNest.Worker.Artifacts;

/// <summary>Exports what a final command was to be collected of (docs/reference/api.md 5.4).</summary>
internal sealed partial class CommandCollection(
    EntryExport export, CommandStore commands, WorkerRetries retries, TimeProvider clock, ILogger<CommandCollection> logger)
{
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

        using var activity = WorkerTelemetry.Activities.StartActivity("command.collect");
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
        var what = $"Collecting entry {index} of {command.Id}";
        var isRepeated = false;
        try
        {
            return await retries.WriteAsync(what, ExportAsync, stopping);
        }
        catch (WorkerException failure)
        {
            return new CollectFailure(CollectFailure.Failed, failure.Message, entry.Item.Path);
        }
        catch (PostgresException refusal)
        {
            LogEntryRefused(refusal, command.Id, index);
            return new CollectFailure(CollectFailure.Failed, "The file could not be recorded as an artifact.", entry.Item.Path);
        }

        async Task<CollectFailure?> ExportAsync(CancellationToken token)
        {
            // As long as the database is away, the end of the collection could not be written either.
            if (isRepeated && sandbox.Ended.IsCancellationRequested)
            {
                return new CollectFailure(
                    CollectFailure.Failed, "The sandbox was gone before the file could be exported.", entry.Item.Path);
            }

            isRepeated = true;
            return await retries.StoreAsync(what, inner => export.RunAsync(entry, sandbox, inner), token, giveUpStorage);
        }
    }

    /// <summary>
    /// Writes the end until it is written; the row that stands, which is another's when the sandbox ended first. Where the database refuses
    /// it for good, the collection fails without saying of what.
    /// </summary>
    /// <exception cref="PostgresException">
    /// That is refused, too: it stays pending until a later reconciliation or the sandbox's end.
    /// </exception>
    private async Task<CommandRow> FinishAsync(
        string commandId, string status, List<CollectFailure> failures, CancellationToken stopping)
    {
        try
        {
            return await WriteEndAsync(commandId, status, failures, stopping);
        }
        catch (PostgresException refusal)
        {
            LogEndRefused(refusal, commandId);
            return await WriteEndAsync(commandId, CollectStatus.Failed, [], stopping);
        }
    }

    private Task<CommandRow> WriteEndAsync(
        string commandId, string status, List<CollectFailure> failures, CancellationToken stopping) => retries.WriteAsync(
        $"Writing the end of the collection of {commandId}",
        async token => await commands.FinishCollectAsync(commandId, status, failures, token)
            ?? await commands.FindAsync(commandId, token)
            ?? throw new InvalidOperationException($"The row of {commandId} is gone."),
        stopping);

    [LoggerMessage(6321, LogLevel.Information, "Command {CommandId}: entry {Index} is not collected: {Code} {Reason}")]
    private partial void LogEntryFailed(string commandId, int index, string code, string reason);

    [LoggerMessage(6322, LogLevel.Error, "Command {CommandId}: the database refuses the artifact of entry {Index}")]
    private partial void LogEntryRefused(Exception exception, string commandId, int index);

    [LoggerMessage(6323, LogLevel.Error, "The database refuses the end of the collection of {CommandId}; it fails")]
    private partial void LogEndRefused(Exception exception, string commandId);
}
