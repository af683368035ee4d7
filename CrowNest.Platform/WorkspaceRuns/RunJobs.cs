using CrowNest.Platform.Redis;
using StackExchange.Redis;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>
/// Streams of workspace runs that were started (docs/protocols.md 9). They only make it quick: which run is whose is decided in Postgres,
/// where every run is found that Redis has lost. Redis being away shows as <see cref="RedisException"/> or <see cref="TimeoutException"/>.
/// </summary>
public sealed class RunJobs(RedisConnection redis) : IDisposable
{
    private const string Group = "workers";
    private const string Run = "run";
    private const string All = "crownest:runs";

    /// <summary>Entries of a stream that nobody reads; more runs than that are found in Postgres.</summary>
    private const int MaxLength = 100_000;

    /// <summary>How long the stream of a node stays that is gone for good.</summary>
    private static readonly TimeSpan NodeStreamExpiry = TimeSpan.FromDays(1);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);
    private static readonly RedisChannel Channel = new(All, RedisChannel.PatternMode.Literal);
    private static readonly byte[] WakeUp = [1];

    private readonly WakeUps _wakeUps = new(redis);

    /// <summary>Says that a run waits for a worker.</summary>
    /// <param name="workerId">The only one that can take it, because a sandbox of its is to be used; null: any.</param>
    public async Task EnqueueAsync(string runId, string? workerId)
    {
        var database = await DatabaseAsync();
        var stream = Stream(workerId);
        var added = database.StreamAddAsync(stream, Run, runId, new StreamAddOptions { MaxLength = MaxLength, Approximate = true });
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
                var count = limit - jobs.Count;
                Add(jobs, stream, await InGroupAsync(
                    stream, database => database.StreamReadGroupAsync(stream, Group, workerId, StreamPosition.NewMessages, count)));
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
                var count = limit - jobs.Count;
                var claimed = await InGroupAsync(stream, database => database.StreamAutoClaimAsync(
                    stream, Group, workerId, (long)idle.TotalMilliseconds, StreamPosition.Beginning, count));
                Add(jobs, stream, claimed.ClaimedEntries);
            }
        }

        return jobs;
    }

    /// <summary>The job is done with: its run has been claimed, by whomever, or needs no worker.</summary>
    public async Task AcknowledgeAsync(RunJob job)
    {
        ArgumentNullException.ThrowIfNull(job);
        var database = await DatabaseAsync();
        var acknowledged = database.StreamAcknowledgeAsync(job.Stream, Group, job.EntryId);
        var removed = database.StreamDeleteAsync(job.Stream, [job.EntryId]);
        await Task.WhenAll(acknowledged, removed).WaitAsync(AnswerTimeout);
    }

    /// <summary>Hears of new jobs; dispose the subscription when done.</summary>
    public Task<WakeUpSubscription> SubscribeAsync(CancellationToken cancellationToken) =>
        _wakeUps.SubscribeAsync(Channel, cancellationToken);

    public void Dispose() => _wakeUps.Dispose();

    private static string Stream(string? workerId) => workerId is null ? All : $"{All}:{workerId}";

    private static void Add(List<RunJob> jobs, string stream, StreamEntry[] entries)
    {
        foreach (var entry in entries)
        {
            // Redis before 7 gives nothing for an entry that was removed, or no fields.
            if (!entry.IsNull && (string?)entry[Run] is { } runId)
            {
                jobs.Add(new RunJob(runId, stream, entry.Id!));
            }
        }
    }

    /// <summary>
    /// Redis has no group, nor the stream, before the first job, after it came back empty, and when the stream had expired. It says so by an
    /// error whose kind the client does not tell: after any refusal the group is seen to, and whatever else it was refuses again.
    /// </summary>
    private async Task<T> InGroupAsync<T>(string stream, Func<IDatabase, Task<T>> ask)
    {
        var database = await DatabaseAsync();
        try
        {
            return await ask(database).WaitAsync(AnswerTimeout);
        }
        catch (RedisServerException)
        {
            await EnsureGroupAsync(database, stream).WaitAsync(AnswerTimeout);
            return await ask(database).WaitAsync(AnswerTimeout);
        }
    }

    private static async Task EnsureGroupAsync(IDatabase database, string stream)
    {
        if (await HasGroupAsync(database, stream))
        {
            return;
        }

        try
        {
            await database.StreamCreateConsumerGroupAsync(stream, Group, StreamPosition.Beginning, createStream: true);
        }
        catch (RedisServerException)
        {
            // Another worker may have been quicker.
            if (!await HasGroupAsync(database, stream))
            {
                throw;
            }
        }
    }

    private static async Task<bool> HasGroupAsync(IDatabase database, string stream) =>
        await database.KeyExistsAsync(stream) && (await database.StreamGroupInfoAsync(stream)).Any(group => group.Name == Group);

    private async Task<IDatabase> DatabaseAsync() => (await redis.GetAsync().WaitAsync(AnswerTimeout)).GetDatabase();
}

/// <summary>A run that waits for a worker, as <see cref="RunJobs"/> gives it out.</summary>
/// <param name="Stream">Where it is, and under which id, for its acknowledgement.</param>
public sealed record RunJob(string RunId, string Stream, string EntryId);
