using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Worker.Agents;
using Npgsql;

namespace CrowNest.Worker.Commands;

/// <summary>The row of one command, as its run writes it: whatever the database does meanwhile, the end is written.</summary>
internal sealed partial class CommandRecord(string id, CommandRunServices services)
{
    private const int KilledElsewhereAttempts = 5;

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

    /// <summary>
    /// Writes the end until it is written; the row that stands, ours or that of whoever was first. Where the database refuses it for good,
    /// the command fails with what is left to say.
    /// </summary>
    /// <exception cref="PostgresException">
    /// That is refused, too: the row stays open, for a later reconciliation or its sandbox's end.
    /// </exception>
    public async Task<CommandRow> FinishAsync(CommandEnd end, CancellationToken stopping)
    {
        try
        {
            return await WriteEndAsync(end, stopping);
        }
        catch (PostgresException refusal)
        {
            LogRefused(services.Logger, refusal, id);
            return await WriteEndAsync(WithoutResult(end), stopping);
        }
    }

    private Task<CommandRow> WriteEndAsync(CommandEnd end, CancellationToken stopping)
    {
        var attempts = 0;
        return services.Retries.WriteAsync(
            $"Writing the end of {id}",
            async token =>
            {
                // The sandbox's end has closed the row already, unless that went wrong.
                var mayBeOpen = end.State != CommandStatus.Killed || ++attempts > KilledElsewhereAttempts;
                if (mayBeOpen && await services.Commands.FinishAsync(id, end, token) is { } final)
                {
                    return final;
                }

                await services.Commands.SaveOutputAsync(id, end, token);
                return await services.Commands.FindAsync(id, token) switch
                {
                    { IsFinal: true } standing => standing,
                    null => throw new InvalidOperationException($"The row of {id} is gone."),
                    _ => throw new NotYetException($"The row of {id} is not closed yet."),
                };
            },
            stopping);
    }

    /// <summary>Nothing of it comes from the sandbox. The log stays readable.</summary>
    private static CommandEnd WithoutResult(CommandEnd end)
    {
        var bare = end.State == CommandStatus.Killed
            ? new CommandEnd { State = end.State, FinishedAt = end.FinishedAt, KilledReason = end.KilledReason }
            : CommandEnds.Failed(ErrorCodes.RuntimeError, "The result of the command could not be stored.", end.FinishedAt);
        return bare with { OldestSeq = end.OldestSeq, LastSeq = end.LastSeq, StdoutTruncated = true, StderrTruncated = true };
    }

    [LoggerMessage(6125, LogLevel.Warning, "Command {CommandId} could not be marked running")]
    private static partial void LogNotMarked(ILogger logger, Exception exception, string commandId);

    [LoggerMessage(6126, LogLevel.Error, "The database refuses the end of {CommandId}; the command fails without its result")]
    private static partial void LogRefused(ILogger logger, Exception exception, string commandId);
}
