using System.Diagnostics;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;
using Xunit.Abstractions;

namespace CrowNest.Worker.Tests.Sandboxes;

[Collection(NodeTests.Name)]
public sealed class StartSpeedTests(BackingServices backing, ITestOutputHelper output)
{
    /// <summary>The aim is 8 ms on a quiet machine; compared with a cold start beside it, the machine's load does not matter.</summary>
    [Fact]
    public async Task Start_Warm_TakesAFractionOfACold()
    {
        const int Count = 12;
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", $"{Count}"));
        await Eventually.HoldsAsync(() => node.Pool.CountByVersion().Values.Sum() == Count, "the pool is full", TimeSpan.FromSeconds(60));
        var requests = new List<Platform.Fleet.StartSandbox>();
        for (var i = 0; i < Count; i++)
        {
            requests.Add(await node.AddRowAsync(network: NetworkPolicy.None));
        }

        var times = new List<double>();
        foreach (var request in requests)
        {
            var watch = Stopwatch.StartNew();
            using var response = await node.PostAsync(request);
            times.Add(watch.Elapsed.TotalMilliseconds);
            Assert.True(response.IsSuccessStatusCode);
        }

        var cold = Stopwatch.StartNew();
        using var last = await node.PostAsync((await node.AddRowAsync()) with { MemoryMb = 300 });
        cold.Stop();
        var median = times.Order().ElementAt(Count / 2);
        output.WriteLine($"warm starts, ms: {string.Join(' ', times.Select(t => Math.Round(t, 1)))}");
        output.WriteLine($"cold start, ms: {cold.ElapsedMilliseconds}");
        Assert.InRange(median, 0, cold.Elapsed.TotalMilliseconds / 4);
    }
}
