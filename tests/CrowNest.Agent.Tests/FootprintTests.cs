using System.Diagnostics;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>The promises of size: every sandbox pays them.</summary>
[Trait("Needs", "engine")]
public sealed class FootprintTests(ContainerFixture fixture) : IClassFixture<ContainerFixture>
{
    [Fact]
    public async Task Binaries_AreSmall()
    {
        var directory = await AgentBinaries.DirectoryAsync();

        Assert.InRange(new FileInfo(Path.Combine(directory, "crownest-agent")).Length, 1, 12 << 20);
        Assert.InRange(new FileInfo(Path.Combine(directory, "crownest-launch")).Length, 1, 1 << 20);
    }

    [Fact]
    public async Task Idle_AfterACommand_HoldsLessThan25MiB()
    {
        await fixture.Agent.Client.RunAsync("echo hello");

        Assert.InRange(fixture.Agent.ResidentKiB, 1, 25 * 1024);
    }

    [Fact]
    public async Task Idle_AfterManyCommands_StillHoldsLessThan25MiB()
    {
        for (int i = 0; i < 400; i++) await fixture.Agent.Client.RunAsync("echo hello");

        Assert.InRange(fixture.Agent.ResidentKiB, 1, 25 * 1024);
    }

    [Fact]
    public async Task Idle_AfterFileTransfers_HoldsLessThan25MiBAgain()
    {
        var client = fixture.Agent.Client;
        var d = await client.PrepareAsync("mkdir many; perl -e 'for (1..10000) { open(F, \">\", \"many/$_\") }'");
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("200", (await client.WriteFileAsync($"{d}/big", new byte[40 << 20])).Outcome);
            Assert.Equal(40 << 20, (await client.ReadFileAsync($"{d}/big")).Bytes.Length);
            Assert.Equal(10_000, (await client.ListAsync($"{d}/many", maxEntries: 10_000)).Names.Length);
            Assert.Equal("200", (await client.PackAsync(d)).Outcome);
            Assert.Equal("200", (await client.SearchAsync(new { path = d, content = "n[e-f]+dle", regex = true })).Outcome);
        }

        await Eventually.HoldsAsync(() => fixture.Agent.ResidentKiB < 25 * 1024, "the memory is given back");
        Assert.InRange(fixture.Agent.ThreadCount, 1, 16);
        await client.RunAsync($"rm -r {d}");
    }

    [Fact]
    public async Task FiftyIdleCommands_CostNoThreadEach()
    {
        var client = fixture.Agent.Client;
        List<string> ids = [];
        for (int i = 0; i < 50; i++) ids.Add(await client.StartAsync("exec sleep 1000"));

        Assert.Equal(50, (await client.HealthAsync()).GetProperty("activeCommands").GetInt32());
        Assert.InRange(fixture.Agent.ThreadCount, 1, 16);

        foreach (var id in ids) await client.CancelAsync(id, "force");
        foreach (var id in ids) await client.FollowAsync(id);
        Assert.Equal(0, (await client.HealthAsync()).GetProperty("activeCommands").GetInt32());
    }

    [Fact]
    public async Task Start_FromExecToAnswer_TakesAFractionOfASecond()
    {
        var watch = Stopwatch.StartNew();
        await using var agent = await HostAgent.StartAsync();

        // About 25 ms on a quiet machine; the bound is for the busiest of build machines.
        Assert.InRange(watch.ElapsedMilliseconds, 0, 3000);
    }
}
