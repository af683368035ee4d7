using System.Collections.Concurrent;
using StackExchange.Redis;

namespace CrowNest.Platform.Streams;

/// <summary>
/// Streams of workspace runs that were started (docs/protocols.md 9). They only make it quick: which run is whose is decided in Postgres,
/// where every run is found that Redis has lost. Redis being away shows as <see cref="RedisException"/> or <see cref="TimeoutException"/>.
/// </summary>
public sealed class RunJobs(RedisConnection redis) : IDisposable
{
    private const string Group = "workers";
    private const string All = "crownest:runs";

    /// <summary>Entries of a stream that nobody reads; more runs than that are found in Postgres.</summary>
    private const int MaxLength = 100_000;

    /// <summary>How long the stream of a node stays that is gone for good.</summary>
    private static readonly TimeSpan NodeStreamExpiry = TimeSpan.FromDays(1);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);
    private static readonly RedisChannel Channel = new(All, RedisChannel.PatternMode.Literal);
    private static readonly byte[] WakeUp = [1];

    private readonly WakeUps _wakeUps = new(redis);
    private readonly ConcurrentDictionary<string, bool> _knownGroups = new();

    /// <summary>Says that a run waits for a worker.</summary>
    /// <param name="workerId">The only one that can take it, because a sandbox of its is to be used; null: any.</param>
    public async Task EnqueueAsync(string runId, string? workerId)
    {
        var database = await DatabaseAsync();
        var stream = Stream(workerId);
        var added = database.ExecuteAsync("XADD", stream, "MAXLEN", "~", MaxLength, "*", "run", runId);
        var expiry = workerId is null ? Task.CompletedTask : database.KeyExpireAsync(stream, NodeStreamExpiry);
        // Sent behind the entry on the same connection, so that who is woken finds it.
        var woken = database.PublishAsync(Channel, WakeUp);
        await Task.WhenAll(added, expiry, woken).WaitAsync(AnswerTimeout);
    }

    /// <summary>Jobs that no worker has been given yet, those for this worker alone first.</summary>
    /// <param name="limit">Jobs at most, at least 1.</param>
    /// <param name="ownOnly">Only those for this worker alone: they need no room for a sandbox.</param>
    public async Task<IReadOnlyList<RunJob>> ReadAsync(string workerId, int limit, bool ownOnly = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(limit);
        var jobs = new List<RunJob>();
        foreach (var stream in ownOnly ? [Stream(workerId)] : new[] { Stream(workerId), All })
        {
            if (jobs.Count < limit)
            {
                var answer = await ExecuteAsync(
                    stream, "XREADGROUP", "GROUP", Group, workerId, "COUNT", limit - jobs.Count, "STREAMS", stream, ">");
                if (!answer.IsNull)
                {
                    // [[stream, [[id, [field, value, …]], …]]]
                    Add(jobs, stream, ((RedisResult[])((RedisResult[])answer!)[0]!)[1]);
                }
            }
        }

        return jobs;
    }

    /// <summary>Takes over jobs that a worker was given and has not acknowledged for a while: it died, or Postgres was away.</summary>
    /// <param name="limit">Jobs at most, at least 1.</param>
    public async Task<IReadOnlyList<RunJob>> ReclaimAsync(string workerId, TimeSpan idle, int limit)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(limit);
        var jobs = new List<RunJob>();
        foreach (var stream in new[] { Stream(workerId), All })
        {
            if (jobs.Count < limit)
            {
                var answer = await ExecuteAsync(
                    stream, "XAUTOCLAIM", stream, Group, workerId, (long)idle.TotalMilliseconds, "0-0", "COUNT", limit - jobs.Count);
                Add(jobs, stream, ((RedisResult[])answer!)[1]);
            }
        }

        return jobs;
    }

    /// <summary>The job is done with: its run has been claimed, by whomever, or needs no worker.</summary>
    public async Task AcknowledgeAsync(RunJob job)
    {
        ArgumentNullException.ThrowIfNull(job);
        var database = await DatabaseAsync();
        var acknowledged = database.ExecuteAsync("XACK", job.Stream, Group, job.EntryId);
        var removed = database.ExecuteAsync("XDEL", job.Stream, job.EntryId);
        await Task.WhenAll(acknowledged, removed).WaitAsync(AnswerTimeout);
    }

    /// <summary>Hears of new jobs; dispose the subscription when done.</summary>
    public Task<WakeUpSubscription> SubscribeAsync(CancellationToken cancellationToken) =>
        _wakeUps.SubscribeAsync(Channel, cancellationToken);

    public void Dispose() => _wakeUps.Dispose();

    private static string Stream(string? workerId) => workerId is null ? All : $"{All}:{workerId}";

    private static void Add(List<RunJob> jobs, string stream, RedisResult entries)
    {
        foreach (var entry in (RedisResult[])entries!)
        {
            // Redis before 7 gives nothing for an entry that was removed, or no fields.
            if (entry.IsNull || (RedisResult[])entry! is not [var id, { IsNull: false } fields])
            {
                continue;
            }

            if ((string[])fields! is ["run", var runId])
            {
                jobs.Add(new RunJob(runId, stream, (string)id!));
            }
        }
    }

    private async Task<RedisResult> ExecuteAsync(string stream, string command, params object[] arguments)
    {
        var database = await DatabaseAsync();
        if (!_knownGroups.ContainsKey(stream))
        {
            await CreateGroupAsync(database, stream);
            _knownGroups.TryAdd(stream, true);
        }

        try
        {
            return await database.ExecuteAsync(command, arguments).WaitAsync(AnswerTimeout);
        }
        catch (RedisServerException exception) when (exception.Message.StartsWith("NOGROUP", StringComparison.Ordinal))
        {
            // Redis came back empty, or the stream had expired.
            await CreateGroupAsync(database, stream);
            return await database.ExecuteAsync(command, arguments).WaitAsync(AnswerTimeout);
        }
    }

    private static async Task CreateGroupAsync(IDatabase database, string stream)
    {
        try
        {
            await database.ExecuteAsync("XGROUP", "CREATE", stream, Group, "0", "MKSTREAM").WaitAsync(AnswerTimeout);
        }
        catch (RedisServerException exception) when (exception.Message.StartsWith("BUSYGROUP", StringComparison.Ordinal))
        {
            // It is there.
        }
    }

    private async Task<IDatabase> DatabaseAsync() => (await redis.GetAsync().WaitAsync(AnswerTimeout)).GetDatabase();
}

/// <summary>A run that waits for a worker, as <see cref="RunJobs"/> gives it out.</summary>
/// <param name="Stream">Where it is, and under which id, for its acknowledgement.</param>
public sealed record RunJob(string RunId, string Stream, string EntryId);
