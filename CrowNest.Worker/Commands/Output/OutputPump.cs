using CrowNest.Platform.Commands.Logs;
using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// Moves a command's output from its agent into the spool (append, then acknowledge) and tells the publisher. A piece goes out at once when
/// nothing is under way; while something is, what arrives meanwhile is gathered, for 250 ms at most (docs/reference/api.md 5.6).
/// </summary>
internal sealed partial class OutputPump(
    string commandId, CommandSpool spool, OutputChunker chunker, LogPublisher publisher, OutputTap tap, TimeProvider clock,
    ILogger logger)
{
    private const int WriteBytes = 128 * 1024;
    private static readonly TimeSpan FlushAfter = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan DiskRetry = TimeSpan.FromSeconds(1);

    /// <summary>Raw bytes that came from the agent since this process has the command.</summary>
    public long TakenBytes { get; private set; }

    /// <summary>Pumps to the command's end over one connection.</summary>
    /// <returns>The final state, when all output is spooled.</returns>
    /// <exception cref="AgentUnavailableException">The connection broke; calling again goes on where this ended.</exception>
    public async Task<AgentCommandState> RunAsync(AgentClient agent, CancellationToken cancellationToken)
    {
        chunker.Rewind();
        await WriteAsync(null, cancellationToken);
        await using var output = await OpenAsync(agent, cancellationToken);
        while (true)
        {
            var reading = output.ReadFrameAsync(cancellationToken);
            AgentFrame frame;
            if (reading.IsCompletedSuccessfully)
            {
                frame = reading.Result;
            }
            else
            {
                var pending = reading.AsTask();
                try
                {
                    await FlushWhileWaitingAsync(pending, output, cancellationToken);
                }
                finally
                {
                    // Its buffer is in use until it is over, whatever happened here.
                    await Task.WhenAny(pending);
                }

                frame = await pending;
            }

            if (frame.State is { } state)
            {
                chunker.End();
                await WriteAsync(output, cancellationToken);
                return state;
            }

            TakenBytes += frame.Payload.Length;
            CommandMetrics.OutputBytes.Add(frame.Payload.Length);
            chunker.Add(frame.Kind == AgentFrameKind.Stderr ? LogRecord.Stderr : LogRecord.Stdout, frame.Payload.Span);
            if (chunker.Closed.Length >= WriteBytes)
            {
                await WriteAsync(output, cancellationToken);
            }
        }
    }

    private async Task<AgentOutput> OpenAsync(AgentClient agent, CancellationToken cancellationToken)
    {
        try
        {
            return await agent.OpenOutputAsync(commandId, chunker.ResumeOffset, cancellationToken);
        }
        catch (AgentErrorException exception) when (exception.Status == StatusCodes.Status410Gone)
        {
            // More was acknowledged than the spool holds: the state folder was lost or set back. What is left is better than nothing.
            var state = (await agent.ListCommandsAsync(cancellationToken)).FirstOrDefault(s => s.Id == commandId);
            if (state is null)
            {
                throw;
            }

            LogOutputLost(logger, exception, commandId, chunker.ResumeOffset, state.AcknowledgedBytes);
            chunker.SkipTo(state.AcknowledgedBytes);
            return await agent.OpenOutputAsync(commandId, chunker.ResumeOffset, cancellationToken);
        }
    }

    private async Task FlushWhileWaitingAsync(Task pending, AgentOutput output, CancellationToken cancellationToken)
    {
        while (true)
        {
            var progress = publisher.Progress;
            var left = FlushAfter - clock.GetElapsedTime(chunker.OpenSince);
            if (chunker.HasOpen && (publisher.IsIdle || left <= TimeSpan.Zero))
            {
                chunker.CloseOpen();
            }

            await WriteAsync(output, cancellationToken);
            if (!chunker.HasOpen || pending.IsCompleted)
            {
                return;
            }

            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(pending, progress, Task.Delay(left, clock, timer.Token));
            await timer.CancelAsync();
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Spools the finished records, lets the agent forget them, and wakes the publisher.</summary>
    private async ValueTask WriteAsync(AgentOutput? output, CancellationToken cancellationToken)
    {
        if (chunker.Closed.IsEmpty)
        {
            return;
        }

        while (!TryAppend())
        {
            // The process inside blocks meanwhile; nothing of its output is lost.
            await Task.Delay(DiskRetry, clock, cancellationToken);
        }

        chunker.Clear();
        publisher.Notify();
        tap.Notify();
        if (output is not null)
        {
            await output.AcknowledgeAsync(chunker.ResumeOffset, cancellationToken);
        }

        await publisher.WaitForRoomAsync(cancellationToken);
        await tap.WaitForRoomAsync(cancellationToken);
    }

    private bool TryAppend()
    {
        try
        {
            spool.Append(chunker.Closed);
            return true;
        }
        catch (IOException exception)
        {
            LogDiskFailed(logger, exception, commandId);
            return false;
        }
    }

    [LoggerMessage(6111, LogLevel.Error, "Output of {CommandId} cannot be spooled; its process has to wait")]
    private static partial void LogDiskFailed(ILogger logger, Exception exception, string commandId);

    [LoggerMessage(6112, LogLevel.Error, "Output of {CommandId} between {From} and {To} is lost")]
    private static partial void LogOutputLost(ILogger logger, Exception exception, string commandId, long from, long to);
}
