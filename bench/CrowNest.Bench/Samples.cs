using System.Diagnostics;

namespace CrowNest.Bench;

/// <summary>Durations in milliseconds.</summary>
internal sealed class Samples
{
    private readonly List<double> _values = [];

    public double Median => At(0.5);

    public double P95 => At(0.95);

    public double P99 => At(0.99);

    public void Add(double milliseconds)
    {
        lock (_values)
        {
            _values.Add(milliseconds);
        }
    }

    /// <summary>Times one action and gives its result.</summary>
    public async Task<T> TimeAsync<T>(Func<Task<T>> action)
    {
        var started = Stopwatch.GetTimestamp();
        var result = await action();
        Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        return result;
    }

    public override string ToString() => $"{Median:0.0} ms (p95 {P95:0.0})";

    private double At(double quantile)
    {
        lock (_values)
        {
            var sorted = _values.Order().ToList();
            return sorted[Math.Min(sorted.Count - 1, (int)(quantile * sorted.Count))];
        }
    }
}
