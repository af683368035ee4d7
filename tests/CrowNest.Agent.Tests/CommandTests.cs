using System.Net;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

public abstract class CommandTests(AgentFixture fixture)
{
    private AgentInstance Agent => fixture.Agent;

    private AgentClient Client => fixture.Agent.Client;

    [Theory]
    [InlineData("true", 0)]
    [InlineData("exit 7", 7)]
    [InlineData("exit 255", 255)]
    [InlineData("kill -9 $$", 137)]
    [InlineData("kill -TERM $$", 143)]
    [InlineData("no-such-program-anywhere", 127)]
    public async Task Run_MainProcessEnds_ReportsItsCode(string command, int code)
    {
        var outcome = await Client.RunAsync(command);

        Assert.Equal(code, outcome.ExitCode);
        Assert.Equal("exited", outcome.Text("endReason"));
        Assert.Null(outcome.Text("terminationSignal"));
        Assert.True(outcome.State.GetProperty("endedAt").GetInt64() >= outcome.State.GetProperty("startedAt").GetInt64());
    }

    [Fact]
    public async Task Run_Environment_IsOursThenTheClaimsThenTheCommands()
    {
        var outcome = await Client.RunAsync("/usr/bin/env", environment: new { MINE = "bär", LANG = "de" });

        // What the shell adds by itself is not ours to judge.
        var variables = outcome.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(v => !v.StartsWith("PWD=") && !v.StartsWith("SHLVL=") && !v.StartsWith("_=")).Order(StringComparer.Ordinal);
        Assert.Equal(
            [
                "CROWNEST_SANDBOX_ID=sbx_1", $"HOME={Agent.Home}", "LANG=de", "LOGNAME=sandbox", "MINE=bär",
                $"PATH={Agent.Home}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "SHARED=claim", "USER=sandbox",
            ],
            variables);
    }

    [Fact]
    public async Task Run_Credentials_AreTheUsersAndNothingElse()
    {
        var outcome = await Client.RunAsync(
            "id -u; id -g; id -G; nice; cat /proc/self/oom_score_adj; ulimit -Su; ulimit -Sn; ulimit -Sf; ulimit -Sc; umask; "
            + "ps -o sid= -p $$ | tr -d ' '; echo $$; grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|SigBlk|SigIgn)' /proc/self/status");

        var lines = outcome.Out.Split('\n');
        Assert.Equal([$"{Agent.Uid}", $"{Agent.Uid}", $"{Agent.Uid}", "10", "1000", "180", "1024", "262144", "0", "0022"], lines[..10]);
        Assert.Equal(lines[11], lines[10]);
        Assert.Contains("NoNewPrivs:\t1", lines);
        foreach (var set in new[] { "CapInh", "CapPrm", "CapEff", "CapAmb", "SigBlk", "SigIgn" })
            Assert.Contains($"{set}:\t0000000000000000", lines);
    }

    [Fact]
    public async Task Run_Limits_CannotBeRaised()
    {
        var outcome = await Client.RunAsync(
            "ulimit -Hu; ulimit -Hn; ulimit -Hf; ulimit -Hc; for l in u n f c; do ulimit -H$l unlimited 2>/dev/null && echo raised $l; done");

        Assert.Equal("180\n1024\n262144\n0\n", outcome.Out);
    }

    [Fact]
    public async Task Run_Descriptors_AreOnlyTheStandardThree()
    {
        // 3 is the directory that ls itself has open.
        var outcome = await Client.RunAsync("exec ls -l /proc/self/fd");

        var links = outcome.Out.Split('\n').Where(l => l.Contains("->")).Select(
            l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^3..]);
        Assert.Collection(
            links,
            l => Assert.Equal(["0", "->", "/dev/null"], l),
            l => Assert.Matches("^1 -> pipe", string.Join(' ', l)),
            l => Assert.Matches("^2 -> pipe", string.Join(' ', l)),
            l => Assert.Matches("^3 -> /proc", string.Join(' ', l)));
    }

    [Fact]
    public async Task Run_DevStdoutAndStderr_CanBeOpened()
    {
        var outcome = await Client.RunAsync("echo one >/dev/stdout; echo two >>/proc/self/fd/1; echo three >/dev/stderr");

        Assert.Equal("one\ntwo\n", outcome.Out);
        Assert.Equal("three\n", outcome.Err);
        Assert.Equal(0, outcome.ExitCode);
    }

    [Fact]
    public async Task Run_WorkingDirectory_ResolvesFromTheWorkspaceAndThroughLinksInside()
    {
        await Client.RunAsync("mkdir -p cwd/deep && ln -sfn cwd/deep inside");

        Assert.Equal($"{Agent.Workspace}\n", (await Client.RunAsync("pwd -P")).Out);
        Assert.Equal($"{Agent.Workspace}/cwd/deep\n", (await Client.RunAsync("pwd -P", "cwd/./deep/")).Out);
        Assert.Equal($"{Agent.Workspace}/cwd\n", (await Client.RunAsync("pwd -P", $"{Agent.Workspace}/cwd/deep/..")).Out);
        Assert.Equal($"{Agent.Workspace}/cwd/deep\n", (await Client.RunAsync("pwd -P", "inside")).Out);
    }

    [Theory]
    [InlineData("missing", HttpStatusCode.NotFound, "file_not_found")]
    [InlineData("dangling", HttpStatusCode.NotFound, "file_not_found")]
    [InlineData("loop", HttpStatusCode.NotFound, "file_not_found")]
    [InlineData("file", HttpStatusCode.BadRequest, "path_not_directory")]
    [InlineData("file/below", HttpStatusCode.BadRequest, "path_not_directory")]
    [InlineData("/etc", HttpStatusCode.BadRequest, "path_outside_workspace")]
    [InlineData("..", HttpStatusCode.BadRequest, "path_outside_workspace")]
    [InlineData("../workspace-too", HttpStatusCode.BadRequest, "path_outside_workspace")]
    [InlineData("escape", HttpStatusCode.BadRequest, "path_outside_workspace")]
    [InlineData("escape/dev", HttpStatusCode.BadRequest, "path_outside_workspace")]
    [InlineData("locked/below", HttpStatusCode.InternalServerError, "runtime_error")]
    [InlineData("", HttpStatusCode.BadRequest, "invalid_request")]
    [InlineData("a\0b", HttpStatusCode.BadRequest, "invalid_request")]
    public async Task Post_ImpossibleWorkingDirectory_IsRefusedAndForgotten(string cwd, HttpStatusCode expected, string code)
    {
        await Client.RunAsync(
            "touch file; ln -sfn / escape; ln -sfn nowhere dangling; ln -sfn loop loop; mkdir -p locked/below; chmod 000 locked");
        var id = AgentClient.NewId();

        var (status, body) = await Client.PostAsync(id, "true", cwd);

        Assert.Equal(expected, status);
        Assert.Equal(code, AgentClient.Code(body));
        Assert.Equal(HttpStatusCode.NotFound, (await Client.SendAsync(HttpMethod.Get, $"/commands/{id}")).Status);
    }

    [Fact]
    public async Task Post_EnvironmentTooLargeForTheKernel_IsARuntimeError()
    {
        var (status, body) = await Client.PostAsync(AgentClient.NewId(), "true", environment: new { BIG = new string('x', 200_000) });

        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.Equal("runtime_error", AgentClient.Code(body));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{\"id\":\"a b\",\"command\":\"true\"}")]
    [InlineData("{\"id\":\"x\",\"command\":\"  \"}")]
    [InlineData("{\"id\":\"x\",\"command\":\"a\\u0000b\"}")]
    [InlineData("{\"id\":\"x\",\"command\":\"true\",\"timeoutMs\":0}")]
    [InlineData("{\"id\":\"x\",\"command\":\"true\",\"environment\":{\"A=B\":\"\"}}")]
    [InlineData("{\"id\":\"x\",\"command\":\"true\",\"environment\":{\"A\":null}}")]
    public async Task Post_MalformedBody_IsRefused(string json)
    {
        var (status, body) = await Client.SendAsync(
            HttpMethod.Post, "/commands", System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(json));

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("invalid_request", AgentClient.Code(body));
    }

    [Fact]
    public async Task Post_SameIdAgain_StartsNothingTwice()
    {
        var id = AgentClient.NewId();
        var answers = await Task.WhenAll(Enumerable.Range(0, 8)
            .Select(_ => Client.PostAsync(id, $"echo once >> {id}; echo up; sleep 1000")));

        Assert.Single(answers, a => a.Status == HttpStatusCode.Created);
        Assert.Equal(7, answers.Count(a => a.Status == HttpStatusCode.OK));
        Assert.Single(answers.Select(a => a.Body.GetProperty("pid").GetInt32()).Distinct());
        await using (var reader = await Client.ReadAsync(id)) await reader.NextAsync();
        await Client.CancelAsync(id, "force");
        await Client.FollowAsync(id);
        Assert.Equal("once\n", (await Client.RunAsync($"cat {id}")).Out);
    }

    [Fact]
    public async Task Delete_WhileRunning_IsAConflictAndLaterForgets()
    {
        var id = await Client.StartAsync("sleep 1000");

        var (status, body) = await Client.SendAsync(HttpMethod.Delete, $"/commands/{id}");
        Assert.Equal(HttpStatusCode.Conflict, status);
        Assert.Equal("conflict", AgentClient.Code(body));

        await Client.CancelAsync(id, "force");
        await Client.FollowAsync(id);
        Assert.Equal(HttpStatusCode.NotFound, (await Client.SendAsync(HttpMethod.Delete, $"/commands/{id}")).Status);
    }

    [Fact]
    public async Task List_RunningAndEnded_HoldsBothUntilDeleted()
    {
        var running = await Client.StartAsync("sleep 1000");
        var ended = await Client.StartAsync("exit 3");
        await Eventually.HoldsAsync(
            async () => (await Client.StateAsync(ended)).GetProperty("state").GetString() == "ended", "the command ends");

        var (_, body) = await Client.SendAsync(HttpMethod.Get, "/commands");
        var states = body.GetProperty("commands").EnumerateArray().ToDictionary(c => c.GetProperty("id").GetString()!);
        Assert.Equal("running", states[running].GetProperty("state").GetString());
        Assert.False(states[running].TryGetProperty("endReason", out _));
        Assert.Equal(3, states[ended].GetProperty("exitCode").GetInt32());

        await Client.CancelAsync(running, "force");
        await Client.FollowAsync(running);
        await Client.FollowAsync(ended);
    }

    [Fact]
    public async Task Unknown_RouteAndCommand_AreNotFound()
    {
        Assert.Equal("not_found", AgentClient.Code((await Client.SendAsync(HttpMethod.Get, "/nothing")).Body));
        Assert.Equal("not_found", AgentClient.Code((await Client.SendAsync(HttpMethod.Get, "/commands/none")).Body));
        Assert.Equal(
            "not_found", AgentClient.Code((await Client.SendAsync(HttpMethod.Post, "/commands/none/cancel", new { mode = "force" })).Body));
    }
}

public sealed class HostCommandTests(HostFixture fixture) : CommandTests(fixture), IClassFixture<HostFixture>;

[Trait("Needs", "engine")]
public sealed class ContainerCommandTests(ContainerFixture fixture) : CommandTests(fixture), IClassFixture<ContainerFixture>;
