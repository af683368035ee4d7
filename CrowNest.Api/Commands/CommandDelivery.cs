using System.Diagnostics;
using CrowNest.Api.Nodes;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;

namespace CrowNest.Api.Commands;

/// <summary>
/// Brings a queued command to its sandbox's node, and follows it there. The row decides in every doubt: a node that restarts meanwhile goes
/// on with the command, and so does this.
/// </summary>
internal sealed partial class CommandDelivery(
    CommandStore store, LiveWorkers workers, NodeClient client, TimeProvider time, ILogger<CommandDelivery> logger)
{
    /// <summary>
    /// How long a node may be away before a command that it has not begun is failed: above a restart of a worker, and below the time after
    /// which the worker itself gives up a command that nobody delivers.
    /// </summary>
    private static readonly TimeSpan DeliveryLimit = TimeSpan.FromSeconds(45);

    private static readonly TimeSpan TryAgainAfter = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ShortestPoll = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPoll = TimeSpan.FromMilliseconds(250);

    /// <summary>Returns once the node has the command; its row then, which is final when it could not be started.</summary>
    public Task<CommandRow> StartAsync(string workerId, StartCommand start, CancellationToken cancellationToken) =>
        DeliverAsync(workerId, start with { WaitMs = 0 }, cancellationToken);

    /// <summary>Returns the final row.</summary>
    /// <param name="expected">How long the command may take; after that the node is not waited for, but the row is.</param>
    public async Task<CommandRow> RunAsync(string workerId, StartCommand start, TimeSpan expected, CancellationToken cancellationToken)
    {
        var row = await DeliverAsync(workerId, start with { WaitMs = (long)expected.TotalMilliseconds }, cancellationToken);
        return IsAnswer(row) ? row : await FollowAsync(start.CommandId, cancellationToken);
    }

    /// <summary>Waits until the command is final and its files are collected, whoever sees to that.</summary>
    public async Task<CommandRow> FollowAsync(string commandId, CancellationToken cancellationToken)
    {
        for (var pause = ShortestPoll; ; pause = pause * 1.5 < LongestPoll ? pause * 1.5 : LongestPoll)
        {
            var row = await FindAsync(commandId, cancellationToken);
            if (IsAnswer(row))
            {
                return row;
            }

            await Task.Delay(pause, time, cancellationToken);
        }
    }

    /// <summary><c>run</c> answers when the collection is over too (docs/reference/api.md 5.2).</summary>
    private static bool IsAnswer(CommandRow row) => row.IsFinal && row.CollectStatus != CollectStatus.Pending;

    private async Task<CommandRow> DeliverAsync(string workerId, StartCommand start, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        string? failure = null;
        while (true)
        {
            try
            {
                if (await workers.FindAsync(workerId, again: failure is not null, cancellationToken) is { } worker)
                {
                    return await client.StartCommandAsync(worker, start, cancellationToken);
                }

                failure = "The sandbox's node is lost.";
            }
            catch (WorkerRefusedException e)
            {
                LogRefused(start.CommandId, workerId, e.Code, e.Message);
                failure = e.Message;
            }
            catch (WorkerUnreachableException e)
            {
                LogUnreachable(start.CommandId, workerId, e);
                failure = "The sandbox's node does not answer.";
            }

            var row = await FindAsync(start.CommandId, cancellationToken);
            if (row.State != CommandStatus.Queued)
            {
                return row;
            }

            if (time.GetElapsedTime(began) >= DeliveryLimit)
            {
                return await GiveUpAsync(start.CommandId, failure, cancellationToken);
            }

            await Task.Delay(TryAgainAfter, time, cancellationToken);
        }
    }

    private async Task<CommandRow> GiveUpAsync(string commandId, string failure, CancellationToken cancellationToken)
    {
        var end = new CommandEnd
        {
            State = CommandStatus.Failed,
            FinishedAt = time.GetUtcNow(),
            FailureCode = ErrorCodes.RuntimeError,
            FailureMessage = failure,
        };
        return await store.FinishAsync(commandId, end, cancellationToken) ?? await FindAsync(commandId, cancellationToken);
    }

    private async Task<CommandRow> FindAsync(string commandId, CancellationToken cancellationToken) =>
        await store.FindAsync(commandId, cancellationToken) ?? throw new UnreachableException($"Command {commandId} has no row.");

    [LoggerMessage(2200, LogLevel.Warning, "Command {CommandId}: node {WorkerId} refused with {Code}: {Reason}")]
    private partial void LogRefused(string commandId, string workerId, string code, string reason);

    [LoggerMessage(2201, LogLevel.Warning, "Command {CommandId}: the connection to node {WorkerId} failed.")]
    private partial void LogUnreachable(string commandId, string workerId, Exception exception);
}
