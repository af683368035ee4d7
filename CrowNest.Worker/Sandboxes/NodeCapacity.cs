using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Sandboxes;

/// <summary>How many sandboxes the node takes, those on their way included.</summary>
internal sealed class NodeCapacity(IOptions<WorkerOptions> options, LiveSandboxes live)
{
    /// <summary>Few sandboxes use all the memory they may; what the kernel cannot give ends the user's processes first.</summary>
    private const int Overcommit = 3;
    private const long MiB = 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly HashSet<string> _starting = [];

    public int Limit { get; } = options.Value.Capacity
        ?? (int)Math.Max(1, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / MiB * Overcommit / options.Value.DefaultMemoryMb);

    public int Running
    {
        get
        {
            lock (_lock)
            {
                return Count();
            }
        }
    }

    /// <summary>A place for the time of a start; null when the node is full.</summary>
    public IDisposable? TryTake(string sandboxId)
    {
        lock (_lock)
        {
            return Count() < Limit && _starting.Add(sandboxId) ? new Place(this, sandboxId) : null;
        }
    }

    /// <summary>One that has just become live is not counted twice.</summary>
    private int Count() => live.Count + _starting.Count(id => !live.TryGet(id, out _));

    private sealed class Place(NodeCapacity capacity, string sandboxId) : IDisposable
    {
        public void Dispose()
        {
            lock (capacity._lock)
            {
                capacity._starting.Remove(sandboxId);
            }
        }
    }
}
