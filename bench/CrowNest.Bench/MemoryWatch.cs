namespace CrowNest.Bench;

/// <summary>Watches the resident memory of processes, from its making to its disposal.</summary>
internal sealed class MemoryWatch : IDisposable
{
    private readonly int[] _processIds;
    private readonly double _before;
    private readonly Timer _timer;
    private double _peak;

    public MemoryWatch(params int[] processIds)
    {
        _processIds = processIds;
        _peak = _before = Now();
        _timer = new Timer(_ => _peak = Math.Max(_peak, Now()), null, TimeSpan.Zero, TimeSpan.FromMilliseconds(50));
    }

    /// <summary>Peak of all together over what they had at the beginning, in MiB.</summary>
    public double GrowthMiB => _peak - _before;

    public void Dispose() => _timer.Dispose();

    private double Now() => _processIds.Sum(Machine.ResidentMiB);
}
