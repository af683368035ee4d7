using CrowNest.Contracts;
using CrowNest.Platform.Data;
using CrowNest.Worker.Agents;
using Npgsql;

namespace CrowNest.Worker.Commands;

/// <summary>The row of one command, as its run writes it: whatever the database does meanwhile, the end is written.</summary>
internal sealed partial class CommandRecord(string id, CommandRunServices services)
{
    private const int KilledElsewhereAttempts = 5;
    private const int MaxBackoffMs = 2000;

    /// <summary>Marks the row running, unless the command is over first.</summary>
    public async Task MarkRunningAsync(CommandRow row, AgentCommandState state, TimeSpan after, CancellationToken over)
    {
        try
        {
            if (after > TimeSpan.Zero)
            {
                await Task.Delay(after, services.Clock, over);
            }

            var startedAt = CommandEnds.FromAgent(state, row.CreatedAt, services.Clock.GetUtcNow()).StartedAt!.Value;
            await services.Commands.MarkRunningAsync(id, startedAt, over);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The final write says when it started.
        }
        catch (NpgsqlException exception)
        {
            LogNotMarked(services.Logger, exception, id);
        }
    }

    /// <summary>Writes the end until it is written; the row that stands, ours or that of whoever was first.</summary>
    public async Task<CommandRow> FinishAsync(CommandEnd end, CancellationToken stopping)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // The sandbox's end has closed the row already, unless that went wrong.
                var mayBeOpen = end.State != CommandStatus.Killed || attempt > KilledElsewhereAttempts;
                if (mayBeOpen && await services.Commands.FinishAsync(id, end, stopping) is { } final)
                {
                    return final;
                }

                await services.Commands.SaveOutputAsync(id, end, stopping);
                if (await services.Commands.FindAsync(id, stopping) is { IsFinal: true } standing)
                {
                    return standing;
                }
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
            {
                LogNotWritten(services.Logger, exception, id);
            }

            await Task.Delay(Backoff(attempt), services.Clock, stopping);
        }
    }

    /// <summary>Pause before the next attempt at whatever failed.</summary>
    public static TimeSpan Backoff(int attempt) => TimeSpan.FromMilliseconds(Math.Min(10 << Math.Min(attempt, 10), MaxBackoffMs));

    [LoggerMessage(6125, LogLevel.Warning, "Command {CommandId} could not be marked running")]
    private static partial void LogNotMarked(ILogger logger, Exception exception, string commandId);

    [LoggerMessage(6126, LogLevel.Warning, "The end of {CommandId} could not be written yet")]
    private static partial void LogNotWritten(ILogger logger, Exception exception, string commandId);
}
