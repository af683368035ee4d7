using CrowNest.Platform.Redis;
using StackExchange.Redis;

namespace CrowNest.Platform.Commands.Logs;

/// <summary>
/// Writes commands' output to Redis (docs/protocols.md 4). Every append may be repeated: Redis refuses an id that its stream is past, and that
/// counts as done. Redis being away shows as <see cref="RedisException"/> or <see cref="TimeoutException"/>.
/// </summary>
public sealed class CommandLogWriter(RedisConnection redis)
{
    /// <summary>How long a finished command's stream stays after its log has been stored elsewhere.</summary>
    public static readonly TimeSpan Linger = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);
    private static readonly byte[] WakeUp = [1];

    private int _isWatching;

    /// <summary>The connection came back after a loss: what Redis holds may be gone. Raised on a thread of the Redis client.</summary>
    public event Action? Restored;

    /// <summary>Appends records in order and wakes the followers.</summary>
    /// <returns>Followers that were woken, over all processes that share this Redis node.</returns>
    public async Task<long> AppendAsync(string commandId, IReadOnlyList<LogRecord> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        var database = await DatabaseAsync();
        var key = CommandLogKey.Stream(commandId);
        // All or none: were one lost and a later one written, the lost one could never be added any more.
        var transaction = database.CreateTransaction();
        var appends = new Task[records.Count];
        for (var i = 0; i < appends.Length; i++)
        {
            appends[i] = AppendOneAsync(transaction, database, key, CommandLogEntries.Addition.Of(records[i]));
        }

        var written = transaction.ExecuteAsync();
        // Sent behind the appends on the same connection, so that who is woken finds them.
        var woken = database.PublishAsync(CommandLogKey.Channel(commandId), WakeUp);
        if (!await written.WaitAsync(AnswerTimeout))
        {
            throw new TimeoutException("Redis did not take the records.");
        }

        await Task.WhenAll(appends).WaitAsync(AnswerTimeout);
        return await woken.WaitAsync(AnswerTimeout);
    }

    /// <summary>Writes the mark after the last record: the command's row is final.</summary>
    /// <param name="lastSeq">0 when there was no output.</param>
    /// <param name="expiry">When the whole stream may go; null: it stays until <see cref="ExpireAsync"/>.</param>
    public async Task EndAsync(string commandId, long lastSeq, TimeSpan? expiry)
    {
        var database = await DatabaseAsync();
        var key = CommandLogKey.Stream(commandId);
        var mark = AppendOneAsync(database, database, key, CommandLogEntries.Addition.EndAfter(lastSeq));
        var expire = expiry is { } after ? database.KeyExpireAsync(key, after) : Task.CompletedTask;
        var woken = database.PublishAsync(CommandLogKey.Channel(commandId), WakeUp);
        await Task.WhenAll(mark, expire, woken).WaitAsync(AnswerTimeout);
    }

    /// <summary>Drops every record before <paramref name="oldestSeq"/>.</summary>
    public async Task TrimAsync(string commandId, long oldestSeq)
    {
        var database = await DatabaseAsync();
        await database.StreamTrimByMinIdAsync(CommandLogKey.Stream(commandId), CommandLogKey.Entry(oldestSeq))
            .WaitAsync(AnswerTimeout);
    }

    public async Task ExpireAsync(string commandId, TimeSpan after)
    {
        var database = await DatabaseAsync();
        await database.KeyExpireAsync(CommandLogKey.Stream(commandId), after).WaitAsync(AnswerTimeout);
    }

    public async Task DeleteAsync(string commandId)
    {
        var database = await DatabaseAsync();
        await database.KeyDeleteAsync(CommandLogKey.Stream(commandId)).WaitAsync(AnswerTimeout);
    }

    /// <summary>What Redis holds of a command's records.</summary>
    public async Task<LogRange> ReadRangeAsync(string commandId) =>
        await CommandLogEntries.ReadRangeAsync(await DatabaseAsync(), commandId).WaitAsync(AnswerTimeout);

    private async Task<IDatabase> DatabaseAsync()
    {
        var connection = await redis.GetAsync().WaitAsync(AnswerTimeout);
        if (Interlocked.Exchange(ref _isWatching, 1) == 0)
        {
            connection.ConnectionRestored += (_, _) => Restored?.Invoke();
        }

        return connection.GetDatabase();
    }

    /// <param name="batch">What the entry is sent with.</param>
    private static async Task AppendOneAsync(
        IDatabaseAsync batch, IDatabaseAsync database, RedisKey key, CommandLogEntries.Addition addition)
    {
        try
        {
            await batch.StreamAddAsync(key, addition.Fields, new StreamAddOptions { MessageId = addition.Id });
        }
        catch (RedisServerException)
        {
            // Redis refuses an id at or below its stream's last one with an error that has no code. The stream itself tells whether
            // it was that: then the entry was written before.
            if (!await IsPastAsync(database, key, addition.Id))
            {
                throw;
            }
        }
    }

    private static async Task<bool> IsPastAsync(IDatabaseAsync database, RedisKey key, string id) =>
        await database.KeyExistsAsync(key)
        && CommandLogKey.Parse((await database.StreamInfoAsync(key)).LastGeneratedId!).CompareTo(CommandLogKey.Parse(id)) >= 0;
}
