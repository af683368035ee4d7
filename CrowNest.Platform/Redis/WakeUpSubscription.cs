using StackExchange.Redis;

namespace CrowNest.Platform.Redis;

/// <summary>Hears that there is something new to look at. It may miss it when Redis is away, so every wait has a limit.</summary>
public sealed class WakeUpSubscription : IAsyncDisposable
{
    private readonly WakeUps _owner;
    private readonly RedisChannel _channel;
    private readonly WakeUps.Signal _signal;

    internal WakeUpSubscription(WakeUps owner, RedisChannel channel, WakeUps.Signal signal)
    {
        _owner = owner;
        _channel = channel;
        _signal = signal;
    }

    /// <summary>Completes with the next wake-up. Take it before looking, or one is missed.</summary>
    public Task Next => _signal.Next;

    /// <summary>Waits for a wake-up that was taken from <see cref="Next"/>; false when <paramref name="limit"/> was over first.</summary>
    public async Task<bool> WaitAsync(Task wakeUp, TimeSpan limit, TimeProvider clock, CancellationToken cancellationToken)
    {
        using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var woken = await Task.WhenAny(wakeUp, Task.Delay(limit, clock, wait.Token)) == wakeUp;
        await wait.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        if (!woken)
        {
            await _owner.EnsureSubscribedAsync(_channel, _signal, cancellationToken);
        }

        return woken;
    }

    public ValueTask DisposeAsync() => _owner.ReleaseAsync(_channel, _signal);
}
