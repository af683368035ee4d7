using System.Diagnostics;

namespace CrowNest.Testing;

/// <summary>Waiting for a state instead of for a time.</summary>
public static class Eventually
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Asks until <paramref name="condition"/> holds; fails with <paramref name="what"/> after <paramref name="within"/> (default 10 s).</summary>
    public static async Task HoldsAsync(Func<Task<bool>> condition, string what, TimeSpan? within = null)
    {
        var limit = within ?? TimeSpan.FromSeconds(10);
        var watch = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(Interval);
        while (!await condition())
        {
            if (watch.Elapsed > limit)
            {
                throw new TimeoutException($"Not within {limit.TotalSeconds:0.#} s: {what}");
            }

            await timer.WaitForNextTickAsync();
        }
    }

    public static Task HoldsAsync(Func<bool> condition, string what, TimeSpan? within = null) =>
        HoldsAsync(() => Task.FromResult(condition()), what, within);

    /// <summary>Asks until <paramref name="read"/> gives a value that <paramref name="accept"/> takes, and returns it.</summary>
    public static async Task<T> GivesAsync<T>(Func<Task<T>> read, Func<T, bool> accept, string what, TimeSpan? within = null)
    {
        T value = default!;
        await HoldsAsync(async () => accept(value = await read()), what, within);
        return value;
    }
}
