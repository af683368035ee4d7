using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Data;
using CrowNest.Platform.Streams;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Worker.WorkspaceRuns;

/// <summary>
/// Makes a command's log the output events of its run, live, in order, each record once: the position in the log is written in the same
/// statement as the events. Beyond a setting, or when the log has dropped what was not read yet, the run says so and keeps the beginning.
/// </summary>
internal sealed partial class RunOutput(
    ICommandLogReader logs, CommandStore commands, IOptions<WorkerOptions> options, TimeProvider clock, ILogger<RunOutput> logger)
{
    private const int BatchBytes = 512 * 1024;
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Follows the log from where the run's row stands to its end.</summary>
    /// <exception cref="RunMovedException">The run does not take output any more.</exception>
    public async Task FollowAsync(CarriedRun run, CommandRow command, CancellationToken cancellationToken)
    {
        long? failingSince = null;
        while (!run.Row.OutputTruncated)
        {
            try
            {
                if (await FollowOnceAsync(run, command, () => failingSince = null, cancellationToken))
                {
                    return;
                }
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or LogUnavailableException)
            {
                failingSince ??= clock.GetTimestamp();
                LogNotRead(exception, run.Id, run.Row.OutputSeq);
                if (exception is LogUnavailableException && clock.GetElapsedTime(failingSince.Value) > options.Value.Runs.StoragePatience)
                {
                    await run.AppendOutputAsync(run.Row.OutputSeq, 0, true, [], cancellationToken);
                    return;
                }
            }

            await Task.Delay(Pause, clock, cancellationToken);
            // A statement whose answer was lost may have been done.
            if (await TryRefreshAsync(run, cancellationToken) && await commands.FindAsync(command.Id, cancellationToken) is { } current)
            {
                command = current;
            }
        }
    }

    private static async Task<bool> TryRefreshAsync(CarriedRun run, CancellationToken cancellationToken)
    {
        try
        {
            return await run.RefreshAsync(cancellationToken) && !run.Row.IsFinal ? true : throw new RunMovedException(run.Id);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            return false;
        }
    }

    /// <returns>Whether the end was reached.</returns>
    private async Task<bool> FollowOnceAsync(
        CarriedRun run, CommandRow command, Action appended, CancellationToken cancellationToken)
    {
        var batch = new List<LogRecord>();
        var bytes = 0L;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var log = logs.FollowAsync(command, run.Row.OutputSeq, ending.Token).GetAsyncEnumerator(ending.Token);
        Task<bool>? next = null;
        try
        {
            var began = 0L;
            while (true)
            {
                next ??= log.MoveNextAsync().AsTask();
                if (batch.Count > 0 && !next.IsCompleted)
                {
                    await Task.WhenAny(next, Task.Delay(Left(began), clock, cancellationToken));
                    cancellationToken.ThrowIfCancellationRequested();
                }

                if (batch.Count > 0 && (!next.IsCompleted || bytes >= BatchBytes || Left(began) == TimeSpan.Zero))
                {
                    await AppendAsync(run, batch, cancellationToken);
                    appended();
                    (bytes, batch) = (0, []);
                    if (run.Row.OutputTruncated)
                    {
                        return true;
                    }
                }

                if (!await next)
                {
                    next = null;
                    return false;
                }

                next = null;
                switch (log.Current)
                {
                    case LogEvent.Chunk { Record: var record }:
                        began = batch.Count == 0 ? clock.GetTimestamp() : began;
                        batch.Add(record);
                        bytes += record.Payload.Length;
                        break;
                    case var end:
                        if (batch.Count > 0)
                        {
                            await AppendAsync(run, batch, cancellationToken);
                        }

                        if (end is LogEvent.Gap { Range: var range })
                        {
                            LogGap(run.Id, run.Row.OutputSeq, range.OldestSeq);
                            await run.AppendOutputAsync(run.Row.OutputSeq, 0, true, [], cancellationToken);
                        }

                        return true;
                }
            }
        }
        finally
        {
            // The enumerator can not be disposed while it is at work.
            await ending.CancelAsync();
            if (next is not null)
            {
                await Task.WhenAny(next);
            }
        }
    }

    private TimeSpan Left(long began) =>
        Gather - clock.GetElapsedTime(began) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

    private async Task AppendAsync(CarriedRun run, List<LogRecord> batch, CancellationToken cancellationToken)
    {
        var events = new List<WorkspaceRunEvent>(batch.Count);
        var bytes = 0L;
        var truncated = false;
        foreach (var record in batch)
        {
            if (run.Row.OutputBytes + bytes + record.Payload.Length > options.Value.Runs.RetainedOutputBytes)
            {
                truncated = true;
                break;
            }

            bytes += record.Payload.Length;
            events.Add(new WorkspaceRunEvent
            {
                Type = record.Stream == LogRecord.Stderr ? WorkspaceRunEventType.Stderr : WorkspaceRunEventType.Stdout,
                Seq = 0,
                CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(record.CreatedAt),
                Data = Encoding.UTF8.GetString(record.Payload.Span),
            });
        }

        await run.AppendOutputAsync(
            events.Count == 0 ? run.Row.OutputSeq : batch[events.Count - 1].Seq, bytes, truncated, events, cancellationToken);
        RunMetrics.OutputBytes.Add(bytes);
    }

    [LoggerMessage(2445, LogLevel.Warning, "Run {RunId}: the command's log can not be followed behind {Seq} now")]
    private partial void LogNotRead(Exception exception, string runId, long seq);

    [LoggerMessage(2446, LogLevel.Warning, "Run {RunId}: the command's log goes from {Seq} to {Oldest}; what lies between is lost")]
    private partial void LogGap(string runId, long seq, long oldest);
}
