using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

public abstract class TerminationTests(AgentFixture fixture)
{
    private static int s_marks = 70_000 + Random.Shared.Next(10_000);

    private AgentClient Client => fixture.Agent.Client;

    [Fact]
    public async Task Timeout_SigtermObeyed_EndsWithSigterm()
    {
        var outcome = await Client.RunAsync("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done", timeoutMs: 300);

        Assert.Equal("timed_out", outcome.Text("endReason"));
        Assert.Equal("SIGTERM", outcome.Text("terminationSignal"));
        Assert.Null(outcome.ExitCode);
        Assert.Equal("up\nbye\n", outcome.Out);
    }

    [Fact]
    public async Task Timeout_SigtermIgnored_KillsTheTreeFiveSecondsLater()
    {
        var mark = NextMark();
        var outcome = await Client.RunAsync(Strays(mark) + "sleep 1000", timeoutMs: 200);

        Assert.Equal("timed_out", outcome.Text("endReason"));
        Assert.Equal("SIGKILL", outcome.Text("terminationSignal"));
        long took = outcome.State.GetProperty("endedAt").GetInt64() - outcome.State.GetProperty("startedAt").GetInt64();
        Assert.InRange(took, 5200, 8000);
        Assert.Equal(0, await CountAsync(mark));
    }

    [Fact]
    public async Task Timeout_NotReached_ChangesNothing()
    {
        Assert.Equal(4, (await Client.RunAsync("exit 4", timeoutMs: 60_000)).ExitCode);
    }

    [Fact]
    public async Task Cancel_Graceful_LetsTheTreeFinish()
    {
        var id = await Client.StartAsync("trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done");
        await using var reader = await Client.ReadAsync(id);
        Assert.Equal("up\n"u8.ToArray(), (await reader.NextAsync())!.Payload);

        await Client.CancelAsync(id, "graceful");
        var outcome = await Client.FollowAsync(id);

        Assert.Equal("canceled", outcome.Text("endReason"));
        Assert.Equal("graceful", outcome.Text("cancelMode"));
        Assert.Equal("SIGTERM", outcome.Text("terminationSignal"));
        Assert.Equal("up\nsaved\n", outcome.Out);
    }

    [Fact]
    public async Task Cancel_GracefulWithDeafStray_KillsItAfterTheGrace()
    {
        var mark = NextMark();
        var id = await StartStraysAsync(mark, "trap 'exit 0' TERM; while :; do sleep 0.05; done");

        await Client.CancelAsync(id, "graceful", graceMs: 400);
        var outcome = await Client.FollowAsync(id);

        Assert.Equal("canceled", outcome.Text("endReason"));
        Assert.Equal("SIGKILL", outcome.Text("terminationSignal"));
        Assert.Equal(0, await CountAsync(mark));
    }

    [Fact]
    public async Task Cancel_Force_LeavesNoDescendantWhateverItDid()
    {
        var mark = NextMark();
        var id = await StartStraysAsync(mark, "sleep 1000");
        await Eventually.GivesAsync(() => CountAsync(mark), n => n == 6, "all strays run");

        await Client.CancelAsync(id, "force");
        var outcome = await Client.FollowAsync(id);

        Assert.Equal("canceled", outcome.Text("endReason"));
        Assert.Equal("force", outcome.Text("cancelMode"));
        Assert.Equal("SIGKILL", outcome.Text("terminationSignal"));
        Assert.Equal(0, await CountAsync(mark));
    }

    [Fact]
    public async Task Cancel_ForceAfterGraceful_Overtakes()
    {
        var mark = NextMark();
        var id = await StartStraysAsync(mark, "sleep 1000");

        await Client.CancelAsync(id, "graceful", graceMs: 600_000);
        Assert.Equal("running", (await Client.StateAsync(id)).GetProperty("state").GetString());
        await Client.CancelAsync(id, "force");
        var outcome = await Client.FollowAsync(id);

        Assert.Equal("force", outcome.Text("cancelMode"));
        Assert.Equal("SIGKILL", outcome.Text("terminationSignal"));
        Assert.Equal(0, await CountAsync(mark));
    }

    [Fact]
    public async Task Cancel_StoppedTree_IsKilledToo()
    {
        var id = await Client.StartAsync("sleep 1000 & kill -STOP $!; kill -STOP $$");
        await Client.CancelAsync(id, "force");

        Assert.Equal("canceled", (await Client.FollowAsync(id)).Text("endReason"));
    }

    [Fact]
    public async Task Cancel_AfterTheEnd_ChangesNothing()
    {
        var id = await Client.StartAsync("exit 5");
        await Eventually.HoldsAsync(
            async () => (await Client.StateAsync(id)).GetProperty("state").GetString() == "ended", "the command ends");
        await Client.CancelAsync(id, "force");
        var outcome = await Client.FollowAsync(id);

        Assert.Equal(5, outcome.ExitCode);
        Assert.Null(outcome.Text("cancelMode"));
    }

    [Fact]
    public async Task Cancel_RacingWithTheEnd_GivesOneConsistentReason()
    {
        for (int i = 0; i < 40; i++)
        {
            var id = await Client.StartAsync("exit 6");
            await Client.CancelAsync(id, i % 2 == 0 ? "graceful" : "force");
            var outcome = await Client.FollowAsync(id);
            if (outcome.Text("endReason") == "exited") Assert.Equal(6, outcome.ExitCode);
            else Assert.Equal(i % 2 == 0 ? "SIGTERM" : "SIGKILL", outcome.Text("terminationSignal"));
        }
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"mode\":\"gentle\"}")]
    [InlineData("{\"mode\":\"graceful\",\"graceMs\":-1}")]
    public async Task Cancel_MalformedBody_IsRefused(string json)
    {
        var id = await Client.StartAsync("true");
        var (_, body) = await Client.SendAsync(
            HttpMethod.Post, $"/commands/{id}/cancel", System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(json));

        Assert.Equal("invalid_request", AgentClient.Code(body));
        await Client.FollowAsync(id);
    }

    [Fact]
    public async Task End_LeftBehindProcess_LivesOnAndCanWrite()
    {
        var mark = NextMark();
        var outcome = await Client.RunAsync(
            $"(while [ ! -e go-{mark} ]; do sleep 0.02; done; "
            + $"head -c 300000 /dev/zero && echo late && touch survived-{mark}; sleep {mark}) & echo done");

        Assert.Equal("done\n", outcome.Out);
        Assert.Equal(0, outcome.ExitCode);
        await Client.RunAsync($"touch go-{mark}");
        await Eventually.HoldsAsync(
            async () => (await Client.RunAsync($"test -e survived-{mark}")).ExitCode == 0, "what was left behind could write");
        Assert.Equal(1, await CountAsync(mark));
        await Client.RunAsync($"pkill -f 'sleep {mark}'");
    }

    [Fact]
    public async Task End_OrphanEnds_IsReapedByTheAgent()
    {
        await Client.RunAsync("for i in 1 2 3 4 5; do (setsid sleep 0.1 &) ; done");

        await Eventually.HoldsAsync(
            async () => (await Client.RunAsync("ps -o stat= -u $(id -u) | grep -c Z; true")).Out == "0\n", "no zombie is left");
    }

    // Strays of every kind: background, new session, double fork, cleared environment, all deaf to SIGTERM. The sleep's length is the
    // name by which a later command looks for them.
    private static string Strays(int mark) =>
        $"trap '' TERM; sleep {mark} & setsid sleep {mark} & (setsid sh -c 'sleep {mark} & sleep {mark}' &) & "
        + $"(env -i setsid env -i /bin/sh -c '/bin/sleep {mark} & exec /bin/sleep {mark}' &) & echo ready; ";

    private static int NextMark() => Interlocked.Increment(ref s_marks);

    /// <summary>Starts the strays and then <paramref name="main"/>; returns when they have been told to start.</summary>
    private async Task<string> StartStraysAsync(int mark, string main)
    {
        var id = await Client.StartAsync(Strays(mark) + main);
        await using var reader = await Client.ReadAsync(id);
        Assert.Equal("ready\n"u8.ToArray(), (await reader.NextAsync())!.Payload);
        return id;
    }

    private async Task<int> CountAsync(int mark) =>
        int.Parse((await Client.RunAsync($"ps -eo args= | grep -cE '^(/bin/)?sleep {mark}$'; true")).Out);
}

public sealed class HostTerminationTests(HostFixture fixture) : TerminationTests(fixture), IClassFixture<HostFixture>;

[Trait("Needs", "engine")]
public sealed class ContainerTerminationTests(ContainerFixture fixture) : TerminationTests(fixture), IClassFixture<ContainerFixture>;
