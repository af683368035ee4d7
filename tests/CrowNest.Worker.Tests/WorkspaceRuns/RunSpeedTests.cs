using System.Diagnostics;
using CrowNest.Contracts;
using Xunit;
using Xunit.Abstractions;

namespace CrowNest.Worker.Tests.WorkspaceRuns;

/// <summary>What the platform costs. The limits are far above what was measured: they find what has become many times slower.</summary>
[Collection(NodeTests.Name)]
public sealed class RunSpeedTests(BackingServices backing, ITestOutputHelper output)
{
    [Fact]
    public async Task Run_WarmPool_CostsLittleMoreThanItsCommand()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "3"));
        var archive = TestArchive.Many(10, i => new byte[100_000]);
        var times = new List<double>();
        for (var i = 0; i < 12; i++)
        {
            await node.PoolHoldsAsync(3);
            var row = await node.RunAsync(new TestRun("true") { Archive = archive });
            Assert.Equal(WorkspaceRunStatus.Succeeded, row.Status);
            times.Add((row.ClosedAt!.Value - row.StartedAt!.Value).TotalMilliseconds);
            var events = await node.RunEventsAsync(row.Id);
            output.WriteLine(string.Join(
                ", ", events.Select(e => $"{e.Status ?? e.Type} {(e.CreatedAt - row.StartedAt!.Value).TotalMilliseconds:0}"))
                + $", closed {times[^1]:0}");
        }

        times.Sort();
        output.WriteLine($"start to terminal: median {times[times.Count / 2]:0.0} ms, best {times[0]:0.0} ms, worst {times[^1]:0.0} ms");
        Assert.InRange(times[times.Count / 2], 0, 1500);
    }

    [Fact]
    public async Task Extraction_LargeArchive_IsNotFarFromTar()
    {
        await using var node = await TestNode.StartAsync(backing);
        var random = new Random(1);
        var archive = TestArchive.Many(200, i =>
        {
            var content = new byte[1024 * 1024];
            random.NextBytes(content.AsSpan(0, content.Length / 2));
            return content;
        });
        var folder = Directory.CreateTempSubdirectory("crownest-test-tar").FullName;
        try
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, "a.tgz"), archive);
            var watch = Stopwatch.StartNew();
            using (var tar = Process.Start("tar", ["xzf", Path.Combine(folder, "a.tgz"), "-C", folder]))
            {
                await tar.WaitForExitAsync();
            }

            var byTar = watch.Elapsed;
            var (sandbox, _) = await node.CreateAsync();
            var row = await node.RunAsync(
                new TestRun("true") { WarmSandboxId = sandbox, Archive = archive, MaxUnpackedBytes = 1L << 30 });
            var events = await node.RunEventsAsync(row.Id);
            var byRun = At(WorkspaceRunStatus.Running) - At(WorkspaceRunStatus.Extracting);
            output.WriteLine(
                $"200 MB, {archive.Length / 1e6:0} MB packed: tar xzf {200 / byTar.TotalSeconds:0} MB/s, run {200 / byRun.TotalSeconds:0} MB/s");
            Assert.InRange(byRun.TotalSeconds, 0, 10 * byTar.TotalSeconds);

            DateTimeOffset At(string status) => events.First(e => e.Status == status && e.Message is null).CreatedAt;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
