using System.Runtime.CompilerServices;
using CrowNest.Platform.Redis;
using CrowNest.Platform.Storage;
using StackExchange.Redis;

namespace CrowNest.Platform.Commands.Logs;

/// <inheritdoc />
internal sealed class CommandLogReader(RedisConnection redis, IObjectStore objects, CommandStore commands, TimeProvider clock)
    : ICommandLogReader, IDisposable
{
    /// <summary>Entries per look of a follower: at most 1 MiB.</summary>
    private const int FollowBatch = 64;
    private const int ReadAllBatch = 256;

    private readonly WakeUps _wakeUps = new(redis);

    /// <summary>A follower looks this often without having been woken.</summary>
    internal TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long the last records of a final command may be on their way: its worker publishes, or stores, what Redis lost.
    /// </summary>
    internal TimeSpan SettleTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The same for a page, whose reader wants an answer now.</summary>
    internal TimeSpan PageSettleTime { get; init; } = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan RedisTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan GapPatience = TimeSpan.FromMilliseconds(250);

    internal int FollowedCommands => _wakeUps.Count;

    public void Dispose() => _wakeUps.Dispose();

    public async Task<LogRange> GetRangeAsync(CommandRow command, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(command);
        if (command is { IsFinal: true, LastSeq: > 0 })
        {
            return new LogRange(command.OldestSeq, command.LastSeq);
        }

        try
        {
            return await CommandLogEntries.ReadRangeAsync(await DatabaseAsync(cancellationToken), command.Id)
                .WaitAsync(RedisTimeout, cancellationToken);
        }
        catch (Exception exception) when (IsRedisFailure(exception))
        {
            throw new LogUnavailableException("The output cannot be read now.", exception);
        }
    }

    public async Task<LogPage> ReadAsync(CommandRow command, long? afterSeq, int limit, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(command);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(limit);
        if (command is { IsFinal: true, LastSeq: 0 } && HasTrueLastSeq(command))
        {
            return new LogPage([], false, default);
        }

        if (command.IsLogExpired)
        {
            return new LogPage([], false, new LogRange(command.OldestSeq, command.LastSeq));
        }

        var after = afterSeq ?? 0;
        var start = clock.GetTimestamp();
        while (true)
        {
            var (page, failure) = await TryReadLiveAsync(command.Id, after, limit, cancellationToken);
            if (page is not null && IsComplete(command, page))
            {
                return page;
            }

            if (command.LogObjectKey is { } key)
            {
                return await ReadStoredAsync(command, key, after, limit, cancellationToken);
            }

            if (!command.IsFinal || clock.GetElapsedTime(start) > PageSettleTime)
            {
                // Part of a final log is better than none, unless it is known to be nothing of something.
                return page is not null && (page.Range.LatestSeq > 0 || command.LastSeq == 0)
                    ? page
                    : throw new LogUnavailableException("The output cannot be read now.", failure!);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), clock, cancellationToken);
            command = await commands.FindAsync(command.Id, cancellationToken) ?? command;
        }
    }

    public async IAsyncEnumerable<LogRecord> ReadAllAsync(CommandRow command, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var after = 0L;
        while (true)
        {
            var page = await ReadAsync(command, after, ReadAllBatch, cancellationToken);
            foreach (var record in page.Records)
            {
                yield return record;
                after = record.Seq;
            }

            if (!page.HasMore)
            {
                yield break;
            }
        }
    }

    public async IAsyncEnumerable<LogEvent> FollowAsync(
        CommandRow command, long? afterSeq, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(command);
        if (command.IsLogExpired)
        {
            var kept = new LogRange(command.OldestSeq, command.LastSeq);
            yield return afterSeq is { } after && kept.IsGapAfter(after) ? new LogEvent.Gap(kept) : LogEvent.End.Instance;
            yield break;
        }

        await using var wakeUps = await _wakeUps.SubscribeAsync(CommandLogKey.Channel(command.Id), cancellationToken);
        var position = afterSeq;
        long? finalSince = null;
        var mayBeGap = false;
        while (true)
        {
            var wakeUp = wakeUps.Next;
            var batch = await TryReadBatchAsync(command.Id, position ?? 0, cancellationToken);
            if (!mayBeGap && position is { } last && batch.Records is [{ Seq: var next }, ..] && next != last + 1)
            {
                // A stream that is published again after a loss may show its newest record first for a moment.
                mayBeGap = true;
                await Task.Delay(GapPatience, clock, cancellationToken);
                continue;
            }

            mayBeGap = false;
            foreach (var record in batch.Records)
            {
                if (position is { } p && record.Seq != p + 1)
                {
                    yield return new LogEvent.Gap(new LogRange(record.Seq, Math.Max(record.Seq, command.LastSeq)));
                    yield break;
                }

                position = record.Seq;
                yield return new LogEvent.Chunk(record);
            }

            if (batch.HasEnded)
            {
                yield return LogEvent.End.Instance;
                yield break;
            }

            if (batch.Records.Count > 0)
            {
                continue;
            }

            if (!command.IsFinal)
            {
                // Also when woken the row is not asked: the mark of the end comes through Redis. Only silence makes it worth a look.
                if (!await wakeUps.WaitAsync(wakeUp, PollInterval, clock, cancellationToken))
                {
                    command = await TryFindAsync(command, cancellationToken);
                }

                continue;
            }

            if (command.LogObjectKey is { } key && (position ?? 0) < command.LastSeq)
            {
                await foreach (var stored in StoredLog.ReadAsync(objects, key, position ?? 0, cancellationToken))
                {
                    if (position is { } p && stored.Seq != p + 1)
                    {
                        yield return new LogEvent.Gap(new LogRange(command.OldestSeq, command.LastSeq));
                        yield break;
                    }

                    position = stored.Seq;
                    yield return new LogEvent.Chunk(stored);
                }
            }

            finalSince ??= clock.GetTimestamp();
            var settled = clock.GetElapsedTime(finalSince.Value) > SettleTime;
            if ((HasTrueLastSeq(command) || settled) && (position ?? 0) >= command.LastSeq)
            {
                yield return LogEvent.End.Instance;
                yield break;
            }

            if (settled)
            {
                yield return new LogEvent.Gap(new LogRange(command.LastSeq + 1, command.LastSeq));
                yield break;
            }

            await wakeUps.WaitAsync(wakeUp, PollInterval, clock, cancellationToken);
            command = await TryFindAsync(command, cancellationToken);
        }
    }

    /// <summary>
    /// A command that ended with its sandbox gets its captured output, and with it the true number, some moments after its state.
    /// </summary>
    private static bool HasTrueLastSeq(CommandRow command) => command.State != Contracts.CommandStatus.Killed || command.Stdout is not null;

    private static bool IsComplete(CommandRow command, LogPage page) =>
        !command.IsFinal || (HasTrueLastSeq(command) && page.Range.LatestSeq >= command.LastSeq);

    private static bool IsRedisFailure(Exception exception) => exception is RedisException or TimeoutException;

    private async Task<IDatabase> DatabaseAsync(CancellationToken cancellationToken) =>
        await redis.GetDatabaseAsync().WaitAsync(RedisTimeout, cancellationToken);

    private async Task<(LogPage? Page, Exception? Failure)> TryReadLiveAsync(
        string commandId, long after, int limit, CancellationToken cancellationToken)
    {
        try
        {
            var database = await DatabaseAsync(cancellationToken);
            var entries = CommandLogEntries.ReadAsync(database, commandId, after, limit + 1);
            var range = await CommandLogEntries.ReadRangeAsync(database, commandId).WaitAsync(RedisTimeout, cancellationToken);
            return (Page((await entries.WaitAsync(RedisTimeout, cancellationToken)).Records, limit, range), null);
        }
        catch (Exception exception) when (IsRedisFailure(exception))
        {
            return (null, exception);
        }
    }

    private async Task<LogPage> ReadStoredAsync(CommandRow command, string key, long after, int limit, CancellationToken cancellationToken)
    {
        var records = new List<LogRecord>();
        await foreach (var record in StoredLog.ReadAsync(objects, key, after, cancellationToken))
        {
            records.Add(record);
            if (records.Count > limit)
            {
                break;
            }
        }

        return Page(records, limit, new LogRange(command.OldestSeq, command.LastSeq));
    }

    private static LogPage Page(List<LogRecord> records, int limit, LogRange range)
    {
        var hasMore = records.Count > limit;
        return new LogPage(hasMore ? records[..limit] : records, hasMore, range);
    }

    /// <summary>Nothing while Redis is away: the follower goes on when it is back.</summary>
    private async Task<CommandLogEntries.Batch> TryReadBatchAsync(string commandId, long after, CancellationToken cancellationToken)
    {
        try
        {
            var database = await DatabaseAsync(cancellationToken);
            return await CommandLogEntries.ReadAsync(database, commandId, after, FollowBatch).WaitAsync(RedisTimeout, cancellationToken);
        }
        catch (Exception exception) when (IsRedisFailure(exception))
        {
            return new CommandLogEntries.Batch([], false);
        }
    }

    private async Task<CommandRow> TryFindAsync(CommandRow command, CancellationToken cancellationToken)
    {
        try
        {
            return await commands.FindAsync(command.Id, cancellationToken) ?? command;
        }
        catch (Npgsql.NpgsqlException)
        {
            // The stream may go on without the database; the next look asks again.
            return command;
        }
    }
}
