using System.Diagnostics;
using System.Net;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>What a sandbox may do to itself, in a container with the limits of production. The agent outlives all of it.</summary>
[Trait("Needs", "engine")]
public sealed class HostileTests(ContainerFixture fixture) : IClassFixture<ContainerFixture>
{
    private AgentInstance Agent => fixture.Agent;

    private AgentClient Client => fixture.Agent.Client;

    [Fact]
    public async Task ForkBomb_AgentAnswersAndKillsItWhole()
    {
        var id = await Client.StartAsync("trap '' TERM; bomb() { bomb & bomb & sleep 1000; }; bomb");
        await Eventually.HoldsAsync(() => UserProcesses() > 150, "the bomb has gone off");

        var watch = Stopwatch.StartNew();
        await Client.HealthAsync();
        Assert.True(watch.ElapsedMilliseconds < 2000, $"health took {watch.ElapsedMilliseconds} ms");
        // A new command still starts: the limit is set after the uid (launcher), and "exit" needs no further process.
        Assert.Equal(3, (await Client.RunAsync("exit 3")).ExitCode);

        await Client.CancelAsync(id, "force");
        Assert.Equal("canceled", (await Client.FollowAsync(id)).Text("endReason"));
        Assert.Equal(0, UserProcesses());
    }

    [Fact]
    public async Task ForkBomb_WithCommandsUntilNoProcessIsLeft_AgentSurvives()
    {
        var bomb = await Client.StartAsync("bomb() { bomb & bomb & sleep 1000; }; bomb");
        await Eventually.HoldsAsync(() => UserProcesses() > 150, "the bomb has gone off");

        List<string> started = [bomb];
        var refusals = new HashSet<string>();
        for (int i = 0; i < 70; i++)
        {
            var id = AgentClient.NewId();
            var (status, body) = await Client.PostAsync(id, "while :; do read -t 1000 <> <(:) ; done");
            if (status == HttpStatusCode.Created) started.Add(id);
            else refusals.Add(AgentClient.Code(body));
        }

        Assert.NotEmpty(refusals);
        Assert.Subset(new HashSet<string> { "runtime_error", "quota_exceeded" }, refusals);
        await Client.HealthAsync();
        foreach (var id in started) await Client.CancelAsync(id, "force");
        foreach (var id in started) await Client.FollowAsync(id);
        Assert.Equal(0, UserProcesses());
        Assert.Equal(0, (await Client.RunAsync("true")).ExitCode);
    }

    [Fact]
    public async Task SignalStorm_LaunchesInItsWayAnswerAndEverythingCanBeKilled()
    {
        // kill(-1) reaches every process of this user but the caller: also a launcher's child that has dropped its uid and not yet
        // executed the shell.
        var storm = await Client.StartAsync("exec perl -e 'while (1) { kill STOP => -1; select undef, undef, undef, 0.0002 }'");
        List<string> started = [];
        for (int i = 0; i < 20; i++)
        {
            var id = AgentClient.NewId();
            var (status, body) = await Client.PostAsync(id, "sleep 1000");
            if (status == HttpStatusCode.Created) started.Add(id);
            else Assert.Equal("runtime_error", AgentClient.Code(body));
        }

        foreach (var id in started.Append(storm)) await Client.CancelAsync(id, "force");
        foreach (var id in started.Append(storm)) await Client.FollowAsync(id);
        await Eventually.HoldsAsync(() => UserProcesses() == 0, "no process is left");
    }

    [Fact]
    public async Task MemoryBomb_DiesAloneAndTheAgentGoesOn()
    {
        var outcome = await Client.RunAsync("tail /dev/zero");

        Assert.Equal(137, outcome.ExitCode);
        Assert.Equal(0, (await Client.RunAsync("true")).ExitCode);
    }

    [Fact]
    public async Task OutputFlood_NobodyReads_AgentMemoryStaysFlat()
    {
        await Client.RunAsync("head -c 50000000 /dev/zero");
        int before = Agent.ResidentKiB;
        List<string> floods = [];
        for (int i = 0; i < 4; i++) floods.Add(await Client.StartAsync("yes & yes >&2 & cat /dev/zero"));
        await using var stalled = await Client.ReadAsync(floods[0]);
        foreach (var id in floods)
        {
            await Eventually.HoldsAsync(
                async () => (await Client.StateAsync(id)).GetProperty("producedBytes").GetInt64() > 900_000, "the window fills");
        }

        // Four windows of 1 MiB and what the garbage collector makes of them.
        Assert.InRange(Agent.ResidentKiB - before, -20_000, 12_000);
        Assert.Equal(0, (await Client.RunAsync("true")).ExitCode);
        foreach (var id in floods) await Client.CancelAsync(id, "force");
        foreach (var id in floods.Skip(1)) await Client.FollowAsync(id);
    }

    [Fact]
    public async Task LeftBehindFlood_NobodyReads_AgentStaysResponsive()
    {
        var id = await Client.StartAsync("(while :; do echo flood; done) & sleep 0.1; exit 0");
        Assert.Equal(0, (await Client.FollowAsync(id)).ExitCode);

        var watch = Stopwatch.StartNew();
        for (int i = 0; i < 20; i++) await Client.HealthAsync();
        Assert.True(watch.ElapsedMilliseconds < 4000, $"20 pings took {watch.ElapsedMilliseconds} ms");
        await Client.RunAsync("pkill -9 -u $(id -u)");
        await Eventually.HoldsAsync(() => UserProcesses() == 0, "the flood is gone");
    }

    [Fact]
    public async Task DiskFill_EndsInTheCommandNotInTheAgent()
    {
        var outcome = await Client.RunAsync("cat /dev/zero > fill; rm fill; exit 8");

        Assert.Equal(8, outcome.ExitCode);
        Assert.Matches("No space left|File too large|File size limit", outcome.Err);
    }

    private int UserProcesses() => Directory.EnumerateDirectories("/proc").Count(p =>
    {
        try
        {
            return File.ReadLines($"{p}/status").Any(l => l.StartsWith($"Uid:\t{Agent.Uid}\t", StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false; // not a process, or gone meanwhile
        }
    });
}
