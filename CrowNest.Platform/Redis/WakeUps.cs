using StackExchange.Redis;

namespace CrowNest.Platform.Redis;

/// <summary>
/// One subscription per channel in this process, however many follow it. A wake-up may be lost with the connection: who waits also looks
/// by itself from time to time.
/// </summary>
internal sealed class WakeUps(RedisConnection redis) : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    private readonly Dictionary<RedisChannel, Signal> _signals = [];
    private readonly SemaphoreSlim _gate = new(1);

    /// <summary>Followed channels, for tests and metrics.</summary>
    public int Count
    {
        get
        {
            lock (_signals)
            {
                return _signals.Count;
            }
        }
    }

    /// <summary>Dispose the subscription when done.</summary>
    public async Task<WakeUpSubscription> SubscribeAsync(RedisChannel channel, CancellationToken cancellationToken)
    {
        // In order: an unsubscribe that overtakes a later subscribe would leave the follower deaf.
        await _gate.WaitAsync(cancellationToken);
        try
        {
            Signal? signal;
            lock (_signals)
            {
                if (_signals.TryGetValue(channel, out signal))
                {
                    signal.Followers++;
                    return new WakeUpSubscription(this, channel, signal);
                }

                signal = new Signal { Followers = 1 };
                _signals.Add(channel, signal);
            }

            signal.IsSubscribed = await TrySubscribeAsync(channel, signal);
            return new WakeUpSubscription(this, channel, signal);
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose() => _gate.Dispose();

    /// <summary>Subscribes if Redis was away when that was tried; called by followers that heard nothing for a while.</summary>
    internal async ValueTask EnsureSubscribedAsync(RedisChannel channel, Signal signal, CancellationToken cancellationToken)
    {
        if (signal.IsSubscribed)
        {
            return;
        }

        await _gate.WaitAsync(cancellationToken);
        try
        {
            signal.IsSubscribed = signal.IsSubscribed || await TrySubscribeAsync(channel, signal);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Once subscribed, the library does it again after every loss of the connection.</summary>
    private async Task<bool> TrySubscribeAsync(RedisChannel channel, Signal signal)
    {
        try
        {
            var connection = await redis.GetAsync();
            if (!connection.IsConnected)
            {
                return false;
            }

            await connection.GetSubscriber().SubscribeAsync(channel, signal.Handler).WaitAsync(Timeout);
            return true;
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            return false;
        }
    }

    internal async ValueTask ReleaseAsync(RedisChannel channel, Signal signal)
    {
        try
        {
            await _gate.WaitAsync();
        }
        catch (ObjectDisposedException)
        {
            // The process ends, and its connection with it.
            return;
        }

        try
        {
            lock (_signals)
            {
                if (--signal.Followers > 0)
                {
                    return;
                }

                _signals.Remove(channel);
            }

            var subscriber = (await redis.GetAsync()).GetSubscriber();
            await subscriber.UnsubscribeAsync(channel, signal.Handler).WaitAsync(Timeout);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            // With the connection went the subscription.
        }
        finally
        {
            _gate.Release();
        }
    }

    internal sealed class Signal
    {
        private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Signal() => Handler = (_, _) =>
            Interlocked.Exchange(ref _next, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();

        public int Followers { get; set; }
        public bool IsSubscribed { get; set; }
        public Action<RedisChannel, RedisValue> Handler { get; }

        /// <summary>Completes with the next wake-up. Take it before looking, or one is missed.</summary>
        public Task Next => Volatile.Read(ref _next).Task;
    }
}
