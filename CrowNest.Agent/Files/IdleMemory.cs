namespace CrowNest.Agent.Files;

/// <summary>
/// Gives back what the start and file requests have used, once none has come for a while. Every sandbox holds an agent, most agents are
/// idle, and the collector by itself sees no reason to return a heap that was needed once.
/// </summary>
internal sealed class IdleMemory : IDisposable
{
    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(1);

    /// <summary>Longer: a sandbox that was made for one quick command ends before, and twenty that start at once are busy until then.</summary>
    private static readonly TimeSpan s_afterStart = TimeSpan.FromSeconds(3);

    private readonly ITimer _timer;
    private int _running;

    internal IdleMemory(TimeProvider time) =>
        _timer = time.CreateTimer(_ => Release(), null, s_afterStart, Timeout.InfiniteTimeSpan);

    /// <summary>Runs a request.</summary>
    internal async Task RunAsync(Func<Task> request)
    {
        Interlocked.Increment(ref _running);
        try
        {
            await request();
        }
        finally
        {
            if (Interlocked.Decrement(ref _running) == 0) _timer.Change(s_quiet, Timeout.InfiniteTimeSpan);
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Release()
    {
        // A few milliseconds on a heap of this size; the last request of a burst starts the time anew.
        if (Volatile.Read(ref _running) == 0) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }
}
