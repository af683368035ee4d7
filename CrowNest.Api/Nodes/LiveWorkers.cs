using CrowNest.Platform.Nodes;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace CrowNest.Api.Nodes;

/// <param name="Snapshot">What the node told of itself; null when Redis does not have it.</param>
internal sealed record LiveWorker(string Id, string Url, WorkerSnapshot? Snapshot);

/// <summary>
/// The nodes whose lease runs, with what they tell of themselves. Read at most once per <see cref="FleetOptions.ViewAge"/>, by one
/// request on behalf of all.
/// </summary>
internal sealed partial class LiveWorkers(
    WorkerStore store, WorkerRegistry registry, IOptions<FleetOptions> options, TimeProvider time, ILogger<LiveWorkers> logger) : IDisposable
{
    /// <summary>An address hardly ever changes: what the hot path finds in a view of this age is good enough to try.</summary>
    private static readonly TimeSpan AddressAge = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _reading = new(1, 1);
    private View _view = View.None;

    /// <summary>Every live node.</summary>
    public async ValueTask<IReadOnlyList<LiveWorker>> ListAsync(CancellationToken cancellationToken) =>
        (await ReadAsync(options.Value.ViewAge, cancellationToken)).Workers;

    /// <summary>The node with this id, or null when it has no lease.</summary>
    /// <param name="again">The address that was known did not answer: look anew.</param>
    public async ValueTask<LiveWorker?> FindAsync(string id, bool again, CancellationToken cancellationToken)
    {
        if (!again && (await ReadAsync(AddressAge, cancellationToken)).Find(id) is { } known)
        {
            return known;
        }

        return (await ReadAsync(options.Value.ViewAge, cancellationToken)).Find(id);
    }

    public void Dispose() => _reading.Dispose();

    private async ValueTask<View> ReadAsync(TimeSpan age, CancellationToken cancellationToken)
    {
        var view = Volatile.Read(ref _view);
        if (IsFresh(view))
        {
            return view;
        }

        await _reading.WaitAsync(cancellationToken);
        try
        {
            view = Volatile.Read(ref _view);
            if (!IsFresh(view))
            {
                view = await LoadAsync(cancellationToken);
                Volatile.Write(ref _view, view);
            }

            return view;
        }
        finally
        {
            _reading.Release();
        }

        bool IsFresh(View v) => v.Workers.Count > 0 && time.GetElapsedTime(v.ReadAt) < age;
    }

    private async Task<View> LoadAsync(CancellationToken cancellationToken)
    {
        var leases = await store.ListLiveAsync(time.GetUtcNow(), cancellationToken);
        var snapshots = await ReadSnapshotsAsync(leases.Keys, cancellationToken);
        return new View(time.GetTimestamp(), [.. leases.Select(l => new LiveWorker(l.Key, l.Value, snapshots.GetValueOrDefault(l.Key)))]);
    }

    private async Task<Dictionary<string, WorkerSnapshot>> ReadSnapshotsAsync(
        IReadOnlyCollection<string> workerIds, CancellationToken cancellationToken)
    {
        try
        {
            var snapshots = await registry.ReadAsync(workerIds).WaitAsync(options.Value.SnapshotWait, time, cancellationToken);
            return snapshots.ToDictionary(s => s.WorkerId);
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            LogNoSnapshots(e);
            return [];
        }
    }

    [LoggerMessage(2100, LogLevel.Warning, "No node snapshots from Redis: nodes are chosen from their leases alone.")]
    private partial void LogNoSnapshots(Exception exception);

    private sealed class View(long readAt, IReadOnlyList<LiveWorker> workers)
    {
        public static readonly View None = new(0, []);

        public long ReadAt => readAt;

        public IReadOnlyList<LiveWorker> Workers => workers;

        public LiveWorker? Find(string id) => workers.FirstOrDefault(w => w.Id == id);
    }
}
