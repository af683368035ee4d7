using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using CrowNest.Worker.Containers;

namespace CrowNest.Worker.Sandboxes;

/// <summary>Started containers without identity, by what they were made of. Taking one never waits.</summary>
internal sealed class WarmPool : IDisposable
{
    private readonly ConcurrentDictionary<string, ConcurrentQueue<SandboxContainer>> _byFingerprint = new();
    private readonly SemaphoreSlim _taken = new(0, int.MaxValue);
    private long _lastTaken;

    /// <summary>Time since someone took one.</summary>
    public TimeSpan Quiet => Stopwatch.GetElapsedTime(Volatile.Read(ref _lastTaken));

    /// <summary>The oldest first.</summary>
    public bool TryTake(string fingerprint, [NotNullWhen(true)] out SandboxContainer? container)
    {
        container = null;
        while (_byFingerprint.TryGetValue(fingerprint, out var queue) && queue.TryDequeue(out container))
        {
            Volatile.Write(ref _lastTaken, Stopwatch.GetTimestamp());
            _taken.Release();
            if (!container.IsRemoving)
            {
                return true;
            }
        }

        return false;
    }

    public void Add(SandboxContainer container) => _byFingerprint.GetOrAdd(container.Fingerprint, _ => new()).Enqueue(container);

    public int Count(string fingerprint) => Of(fingerprint).Count();

    /// <summary>Stock per template version.</summary>
    public Dictionary<string, int> CountByVersion() =>
        _byFingerprint.Keys.SelectMany(Of).GroupBy(c => c.TemplateVersionId).ToDictionary(g => g.Key, g => g.Count());

    /// <summary>Takes out everything but the given fingerprints, for the caller to remove.</summary>
    public IReadOnlyList<SandboxContainer> TakeOthers(IReadOnlySet<string> wanted)
    {
        var taken = new List<SandboxContainer>();
        foreach (var fingerprint in _byFingerprint.Keys.Where(f => !wanted.Contains(f)))
        {
            while (TryTake(fingerprint, out var container))
            {
                taken.Add(container);
            }
        }

        return taken;
    }

    /// <summary>Whether it waits here.</summary>
    public bool Holds(SandboxContainer container) => Of(container.Fingerprint).Contains(container);

    /// <summary>Returns when something was taken, or after <paramref name="limit"/>.</summary>
    public async Task WaitForDemandAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        await _taken.WaitAsync(limit, cancellationToken);
        while (_taken.Wait(0, CancellationToken.None))
        {
            // One look at the stock answers all that has been taken.
        }
    }

    /// <summary>Wakes the refill.</summary>
    public void Demand() => _taken.Release();

    public void Dispose() => _taken.Dispose();

    private IEnumerable<SandboxContainer> Of(string fingerprint) =>
        _byFingerprint.TryGetValue(fingerprint, out var queue) ? queue.Where(c => !c.IsRemoving) : [];
}
