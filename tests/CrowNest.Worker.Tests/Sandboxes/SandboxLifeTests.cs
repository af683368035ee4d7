using System.Diagnostics;
using System.Globalization;
using System.Net;
using CrowNest.Contracts;
using CrowNest.Testing;
using CrowNest.Worker.Containers;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

[Trait("Needs", "engine")]
public sealed class SandboxLifeTests(BackingServices backing)
{
    [Fact]
    public async Task Start_WithoutWarmOne_IsColdAndReady()
    {
        await using var node = await TestNode.StartAsync(backing);

        var (id, started) = await node.CreateAsync();

        Assert.False(started.Warm);
        var row = await node.RowAsync(id);
        Assert.Equal(SandboxStatus.Ready, row.State);
        Assert.Equal(started.ContainerId, row.ContainerId);
        Assert.Equal(node.Node.Id, row.WorkerId);
        Assert.NotNull(row.Runtime);
        Assert.True(node.Live.TryGet(id, out var live));
        Assert.Equal(id, (await live.Agent.GetHealthAsync(CancellationToken.None)).SandboxId);
    }

    [Fact]
    public async Task Start_WithWarmOnes_ClaimsAndPoolRefills()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "2"));
        await node.PoolHoldsAsync(2);

        var (first, started) = await node.CreateAsync();
        var (second, alsoStarted) = await node.CreateAsync();

        Assert.True(started.Warm);
        Assert.True(alsoStarted.Warm);
        Assert.NotEqual(started.ContainerId, alsoStarted.ContainerId);
        Assert.NotEqual(first, second);
        await node.PoolHoldsAsync(2);
    }

    [Fact]
    public async Task Start_SameRequestTwice_IsOneSandbox()
    {
        await using var node = await TestNode.StartAsync(backing);
        var request = await node.AddRowAsync();

        var answers = await Task.WhenAll(node.PostAsync(request), node.PostAsync(request));
        using var later = await node.PostAsync(request);

        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
        Assert.Single(await node.Engine.ListContainersAsync(node.Node.State.ContainerLabel, CancellationToken.None));
    }

    [Fact(DisableParallelization = true)]
    public async Task Start_NodeFull_IsRefusedAtOnceAndRowStays()
    {
        await using var node = await TestNode.StartAsync(backing, ("Capacity", "1"));
        await node.CreateAsync();
        var request = await node.AddRowAsync();

        var watch = Stopwatch.StartNew();
        using var response = await node.PostAsync(request);

        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Contains(ErrorCodes.QuotaExceeded, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(SandboxStatus.Creating, (await node.RowAsync(request.SandboxId)).State);
    }

    [Fact]
    public async Task Kill_Ready_DestroysContainerSocketFolderAndRow()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, started) = await node.CreateAsync();
        Assert.True(node.Live.TryGet(id, out var live));

        using var response = await node.KillAsync(id);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains("\"destroyed\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        var row = await node.RowAsync(id);
        Assert.Equal(SandboxStatus.Destroyed, row.State);
        Assert.Equal(DestroyedReason.UserKilled, row.DestroyedReason);
        Assert.True(live.Ended.IsCancellationRequested);
        Assert.False(node.Live.TryGet(id, out _));
        await TestNode.ContainerGoesAsync(started.ContainerId);
        await Eventually.HoldsAsync(() => Directory.GetDirectories(node.Node.State.Sockets).Length == 0, "its socket folder is removed");
    }

    [Fact]
    public async Task Kill_WithProcessesInside_AnswersWhenNoneOfThemIsLeft()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, started) = await node.CreateAsync();
        Assert.True(node.Get<SandboxContainers>().TryGet(started.ContainerId, out var container));
        var (exitCode, _) = await node.ExecAsync(id, "for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM; sleep 600' &) & done");
        Assert.Equal(0, exitCode);
        await Eventually.HoldsAsync(() => ProcessesOf(container.Uid) >= 3, "they run");

        using var response = await node.KillAsync(id);

        Assert.Equal(0, ProcessesOf(container.Uid));
        Assert.False(Directory.Exists($"/proc/{container.Pid}"));
        Assert.Equal(SandboxStatus.Destroyed, (await node.RowAsync(id)).State);
    }

    [Fact(DisableParallelization = true)]
    public async Task Deadline_Passed_EndsWithinASecond()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, started) = await node.CreateAsync(ttlMs: 3000);
        var deadline = (await node.RowAsync(id)).ExpiresAt;

        var row = await node.RowBecomesAsync(id, SandboxStatus.Destroyed);

        Assert.Equal(DestroyedReason.TtlExpired, row.DestroyedReason);
        Assert.InRange(row.DestroyedAt!.Value - deadline, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        await TestNode.ContainerGoesAsync(started.ContainerId);
    }

    [Fact]
    public async Task Kill_Many_DoesNotTakeThemOneByOne()
    {
        await using var node = await TestNode.StartAsync(backing);
        var created = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => node.CreateAsync()));

        var answers = await Task.WhenAll(created.Select(c => node.KillAsync(c.Id)));

        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.Equal(0, node.Live.Count);
        await Task.WhenAll(created.Select(c => TestNode.ContainerGoesAsync(c.Started.ContainerId)));
    }

    private static int ProcessesOf(int uid) => Directory.GetDirectories("/proc")
        .Count(folder => int.TryParse(Path.GetFileName(folder), out _) && UidOf(folder) == uid);

    private static int? UidOf(string folder)
    {
        try
        {
            var line = File.ReadLines(Path.Combine(folder, "status")).First(l => l.StartsWith("Uid:", StringComparison.Ordinal));
            return int.Parse(line.Split('\t')[1], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            // It has ended meanwhile.
            return null;
        }
    }
}
