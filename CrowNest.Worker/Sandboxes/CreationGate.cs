using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Sandboxes;

/// <summary>
/// How many containers are made at once: more than there are cores makes each slower and all of them later. Someone who waits for a cold
/// start goes before the pool.
/// </summary>
internal sealed class CreationGate(IOptions<WorkerOptions> options) : IDisposable
{
    private readonly SemaphoreSlim _places = new(options.Value.RefillConcurrency);
    private int _callers;

    /// <summary>Waits for a place on behalf of a caller.</summary>
    public async Task<IDisposable> EnterAsync(CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _callers);
        try
        {
            await _places.WaitAsync(cancellationToken);
        }
        finally
        {
            Interlocked.Decrement(ref _callers);
        }

        return new Place(_places);
    }

    /// <summary>A place for the pool; null when there is none, or someone waits.</summary>
    public IDisposable? TryEnter() => Volatile.Read(ref _callers) == 0 && _places.Wait(0) ? new Place(_places) : null;

    public void Dispose() => _places.Dispose();

    private sealed class Place(SemaphoreSlim places) : IDisposable
    {
        private int _left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0)
            {
                places.Release();
            }
        }
    }
}
