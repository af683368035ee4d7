using StackExchange.Redis;

namespace CrowNest.Platform.Streams;

/// <summary>
/// One subscription per followed command in this process, however many follow it. A wake-up may be lost with the connection: who waits
/// also looks by itself from time to time.
/// </summary>
internal sealed class CommandLogWakeUps(RedisConnection redis) : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, Signal> _signals = [];
    private readonly SemaphoreSlim _gate = new(1);

    /// <summary>Followed commands, for tests and metrics.</summary>
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

    /// <summary>Dispose the signal when done.</summary>
    public async Task<Lease> SubscribeAsync(string commandId, CancellationToken cancellationToken)
    {
        // In order: an unsubscribe that overtakes a later subscribe would leave the follower deaf.
        await _gate.WaitAsync(cancellationToken);
        try
        {
            Signal? signal;
            lock (_signals)
            {
                if (_signals.TryGetValue(commandId, out signal))
                {
                    signal.Followers++;
                    return new Lease(this, commandId, signal);
                }

                signal = new Signal { Followers = 1 };
                _signals.Add(commandId, signal);
            }

            signal.IsSubscribed = await TrySubscribeAsync(commandId, signal);
            return new Lease(this, commandId, signal);
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose() => _gate.Dispose();

    /// <summary>Subscribes if Redis was away when that was tried; called by followers that heard nothing for a while.</summary>
    private async ValueTask EnsureSubscribedAsync(string commandId, Signal signal, CancellationToken cancellationToken)
    {
        if (signal.IsSubscribed)
        {
            return;
        }

        await _gate.WaitAsync(cancellationToken);
        try
        {
            signal.IsSubscribed = signal.IsSubscribed || await TrySubscribeAsync(commandId, signal);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Once subscribed, the library does it again after every loss of the connection.</summary>
    private async Task<bool> TrySubscribeAsync(string commandId, Signal signal)
    {
        try
        {
            var connection = await redis.GetAsync();
            if (!connection.IsConnected)
            {
                return false;
            }

            await connection.GetSubscriber().SubscribeAsync(CommandLogKey.Channel(commandId), signal.Handler).WaitAsync(Timeout);
            return true;
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            return false;
        }
    }

    private async ValueTask ReleaseAsync(string commandId, Signal signal)
    {
        await _gate.WaitAsync();
        try
        {
            lock (_signals)
            {
                if (--signal.Followers > 0)
                {
                    return;
                }

                _signals.Remove(commandId);
            }

            var subscriber = (await redis.GetAsync()).GetSubscriber();
            await subscriber.UnsubscribeAsync(CommandLogKey.Channel(commandId), signal.Handler).WaitAsync(Timeout);
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

    internal sealed class Lease(CommandLogWakeUps owner, string commandId, Signal signal) : IAsyncDisposable
    {
        public Task Next => signal.Next;

        public ValueTask EnsureSubscribedAsync(CancellationToken cancellationToken) =>
            owner.EnsureSubscribedAsync(commandId, signal, cancellationToken);

        public ValueTask DisposeAsync() => owner.ReleaseAsync(commandId, signal);
    }
}
