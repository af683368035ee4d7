using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Worker.Commands.Output;
using CrowNest.Worker.WorkspaceRuns.Claiming;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Worker.WorkspaceRuns;

/// <summary>
/// Makes a command's log the output events of its run, live, in order, each record once: the position in the log is written in the same
/// statement as the events. It reads what this process spools, or, of a command that ended before, the stored log. Beyond a setting, or
/// when records were dropped before they were read, the run says so and keeps the beginning.
/// </summary>
internal sealed partial class RunOutput(
    OutputTaps taps, ICommandLogReader logs, CommandStore commands, IOptions<WorkerOptions> options, TimeProvider clock,
    ILogger<RunOutput> logger)
{
    private const int BatchBytes = 512 * 1024;

    /// <summary>What comes within this time of the last statement goes together into the next one.</summary>
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Follows the log from where the run's row stands to its end.</summary>
    /// <param name="ended">Completes when the command is final, or cannot be carried on in this process.</param>
    /// <exception cref="RunMovedException">The run does not take output any more.</exception>
    public async Task FollowAsync(ClaimedRun run, CommandRow command, Task ended, CancellationToken cancellationToken)
    {
        var tap = taps.Follow(command.Id);
        try
        {
            var began = clock.GetTimestamp();
            var isFailing = false;
            var failedAt = 0L;
            while (!run.Row.OutputTruncated)
            {
                var position = run.Row.OutputSeq;
                isFailing = isFailing && position == failedAt;
                failedAt = position;
                try
                {
                    if (await FollowSpoolAsync(run, tap, ended, cancellationToken)
                        || await FollowLogAsync(run, command.Id, cancellationToken))
                    {
                        return;
                    }
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException or LogUnavailableException)
                {
                    began = run.Row.OutputSeq > position ? clock.GetTimestamp() : began;
                    if (!isFailing)
                    {
                        LogNotRead(exception, run.Id, run.Row.OutputSeq);
                    }

                    isFailing = true;
                    if (exception is LogUnavailableException && clock.GetElapsedTime(began) > options.Value.Runs.StoragePatience)
                    {
                        await CutAsync(run, cancellationToken);
                        return;
                    }
                }

                await Task.Delay(Pause, clock, cancellationToken);
                // A statement whose answer was lost may have been done.
                await TryRefreshAsync(run, cancellationToken);
            }
        }
        finally
        {
            tap.Release();
        }
    }

    /// <returns>Whether all output was read; false when the spool is not, or no longer, in this process.</returns>
    private async Task<bool> FollowSpoolAsync(ClaimedRun run, OutputTap tap, Task ended, CancellationToken cancellationToken)
    {
        var records = new List<LogRecord>();
        long? appendedAt = null;
        tap.Rewind();
        while (true)
        {
            var changed = tap.Changed;
            var isComplete = tap.IsComplete;
            if (!isComplete && appendedAt is { } last && Gather - clock.GetElapsedTime(last) is var left && left > TimeSpan.Zero)
            {
                await Task.WhenAny(Task.Delay(left, clock, cancellationToken), ended);
            }

            records.Clear();
            if (tap.TryRead(records, run.Row.OutputSeq, BatchBytes))
            {
                if (records.Count > 0)
                {
                    if (!await AppendAsync(run, records, cancellationToken))
                    {
                        return true;
                    }

                    var bytes = records.Sum(r => (long)r.Payload.Length);
                    tap.Take(bytes);
                    // A flood has no time to lose.
                    appendedAt = bytes < BatchBytes / 2 ? clock.GetTimestamp() : null;
                    continue;
                }

                if (isComplete)
                {
                    return true;
                }
            }
            else if (ended.IsCompleted)
            {
                return false;
            }

            await Task.WhenAny(changed, ended.IsCompleted ? Task.Delay(Pause, clock, cancellationToken) : ended);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <returns>Whether the end was reached.</returns>
    private async Task<bool> FollowLogAsync(ClaimedRun run, string commandId, CancellationToken cancellationToken)
    {
        if (await commands.FindAsync(commandId, cancellationToken) is not { IsFinal: true } final)
        {
            return false;
        }

        var records = new List<LogRecord>();
        var bytes = 0L;
        await foreach (var next in logs.FollowAsync(final, run.Row.OutputSeq, cancellationToken))
        {
            if (next is LogEvent.Chunk { Record: var record })
            {
                records.Add(record);
                bytes += record.Payload.Length;
            }

            if (records.Count > 0 && (bytes >= BatchBytes || next is not LogEvent.Chunk))
            {
                if (!await AppendAsync(run, records, cancellationToken))
                {
                    return true;
                }

                (records, bytes) = ([], 0);
            }

            if (next is LogEvent.Gap)
            {
                await CutAsync(run, cancellationToken);
            }
        }

        return true;
    }

    /// <returns>false when the run keeps no more.</returns>
    private async Task<bool> AppendAsync(ClaimedRun run, List<LogRecord> records, CancellationToken cancellationToken)
    {
        var events = new List<WorkspaceRunEvent>(records.Count);
        var (seq, bytes, isCut) = (run.Row.OutputSeq, 0L, false);
        foreach (var record in records)
        {
            if (record.Seq != seq + 1)
            {
                LogGap(run.Id, seq, record.Seq);
                isCut = true;
                break;
            }

            if (run.Row.OutputBytes + bytes + record.Payload.Length > options.Value.Runs.RetainedOutputBytes)
            {
                isCut = true;
                break;
            }

            seq = record.Seq;
            bytes += record.Payload.Length;
            events.Add(new WorkspaceRunEvent
            {
                Type = record.Stream == LogRecord.Stderr ? WorkspaceRunEventType.Stderr : WorkspaceRunEventType.Stdout,
                Seq = 0,
                CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(record.CreatedAt),
                Data = Encoding.UTF8.GetString(record.Payload.Span),
            });
        }

        await run.AppendOutputAsync(seq, bytes, isCut, events, cancellationToken);
        RunMetrics.OutputBytes.Add(bytes);
        return !isCut;
    }

    private static Task CutAsync(ClaimedRun run, CancellationToken cancellationToken) =>
        run.AppendOutputAsync(run.Row.OutputSeq, 0, true, [], cancellationToken);

    private static async Task TryRefreshAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        try
        {
            if (!await run.RefreshAsync(cancellationToken) || run.Row.IsFinal)
            {
                throw new RunMovedException(run.Id);
            }
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            // The next statement finds out.
        }
    }

    [LoggerMessage(6445, LogLevel.Warning, "Run {RunId}: output behind {Seq} cannot be taken over now")]
    private partial void LogNotRead(Exception exception, string runId, long seq);

    [LoggerMessage(6446, LogLevel.Warning, "Run {RunId}: the command's log goes on from {Seq} with {Next}; what lies between was dropped")]
    private partial void LogGap(string runId, long seq, long next);
}
