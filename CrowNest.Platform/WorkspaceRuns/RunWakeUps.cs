using CrowNest.Platform.Redis;
using StackExchange.Redis;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>Tells who follows a workspace run that it has changed (docs/protocols.md 9). What changed is in Postgres.</summary>
public sealed class RunWakeUps(RedisConnection redis) : IDisposable
{
    private static readonly byte[] WakeUp = [1];

    private readonly WakeUps _wakeUps = new(redis);

    /// <summary>Followed runs, for tests and metrics.</summary>
    public int Count => _wakeUps.Count;

    /// <summary>Wakes the followers. While Redis is away nobody is woken, and nobody fails: who follows also looks by itself.</summary>
    public async Task PublishAsync(string runId)
    {
        try
        {
            var connection = await redis.GetAsync();
            if (connection.IsConnected)
            {
                await connection.GetSubscriber().PublishAsync(Channel(runId), WakeUp, CommandFlags.FireAndForget);
            }
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            // The next look of whoever follows finds it.
        }
    }

    /// <summary>Follows the changes of a run; dispose the subscription when done.</summary>
    public Task<WakeUpSubscription> SubscribeAsync(string runId, CancellationToken cancellationToken) =>
        _wakeUps.SubscribeAsync(Channel(runId), cancellationToken);

    public void Dispose() => _wakeUps.Dispose();

    private static RedisChannel Channel(string runId) => new($"crownest:run:{runId}", RedisChannel.PatternMode.Literal);
}
