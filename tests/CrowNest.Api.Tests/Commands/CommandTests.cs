using System.Net.Http.Json;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Commands;

public sealed class CommandTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Run_ThatExits_IsTheFinalCommand()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var env = new Dictionary<string, string> { ["SECRET"] = "s3cret" };
        using var response = await tenant.RunAsync(sandbox, new { command = "out hello; err oops; exit 3", cwd = "src/../lib", env });
        Assert.Equal(200, (int)response.StatusCode);
        var command = (await response.JsonAsync()).GetProperty("command");
        Assert.Equal((sandbox, "out hello; err oops; exit 3", "/workspace/lib"), (command.Text("sandboxId"), command.Text("command"), command.Text("cwd")));
        Assert.Equal(("exited", 3L, "hello\n", "oops\n"), (command.Text("status"), command.Number("exitCode"), command.Text("stdout"), command.Text("stderr")));
        Assert.False(command.GetProperty("stdoutTruncated").GetBoolean() || command.GetProperty("stderrTruncated").GetBoolean());
        Assert.Equal("not_requested", command.Text("collectStatus"));
        Assert.Equal("{}", command.GetProperty("env").GetRawText());
        Assert.True(command.Time("finishedAt") >= command.Time("startedAt") && command.Number("durationMs") >= 0);
        Assert.False(command.Has("cancelMode") || command.Has("terminationSignal") || command.Has("killedReason") || command.Has("collectErrors"));
        Assert.Equal(command.GetRawText(), (await tenant.GetAsync($"/v1/commands/{command.Text("id")}", "command")).GetRawText());
        var launched = fixture.Worker.Launched.Single(l => l.CommandId == command.Text("id"));
        Assert.Equal(("s3cret", 60_000L), (launched.Env["SECRET"], launched.TimeoutMs));
    }

    [Fact]
    public async Task Run_ThatTimesOut_Is200WithItsOutput()
    {
        var tenant = await fixture.TenantAsync();
        var command = (await tenant.RunAsync(await tenant.SandboxAsync(), new { command = "out half; timeout", timeoutMs = 1 }).JsonAsync())
            .GetProperty("command");
        Assert.Equal(("timed_out", "half\n", "SIGKILL"), (command.Text("status"), command.Text("stdout"), command.Text("terminationSignal")));
        Assert.False(command.Has("exitCode"));
    }

    [Theory]
    [InlineData("file_not_found", 404)]
    [InlineData("path_not_directory", 400)]
    [InlineData("path_outside_workspace", 400)]
    public async Task RunAndStart_CwdThatTheSandboxRefuses_IsAnError(string code, int status)
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var error = await tenant.RunAsync(sandbox, new { command = $"fail {code}", cwd = "x" }).ErrorAsync(status, code);
        Assert.Equal("cwd", error.GetProperty("details").Text("field"));
        await tenant.StartAsync(sandbox, new { command = $"fail {code}", cwd = "x" }).ErrorAsync(status, code);
    }

    [Fact]
    public async Task RunAndStart_LaunchFailure_IsAFailedCommand()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        using var ran = await tenant.RunAsync(sandbox, new { command = "fail runtime_error" });
        using var started = await tenant.StartAsync(sandbox, new { command = "fail runtime_error" });
        Assert.Equal((200, 202), ((int)ran.StatusCode, (int)started.StatusCode));
        foreach (var response in new[] { ran, started })
        {
            var command = (await response.JsonAsync()).GetProperty("command");
            Assert.Equal(("failed", "It cannot be used."), (command.Text("status"), command.Text("failureMessage")));
        }
    }

    [Fact]
    public async Task Start_Running_HasNoOutputYet()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "out x; hang");
        var command = await tenant.GetAsync($"/v1/commands/{id}", "command");
        Assert.Equal("running", command.Text("status"));
        Assert.False(command.Has("stdout") || command.Has("stdoutTruncated") || command.Has("finishedAt") || command.Has("durationMs"));
        Assert.Null(fixture.Worker.Command(id).Start.TimeoutMs);
    }

    [Theory]
    [InlineData("""{}""", "invalid_request", "command")]
    [InlineData("""{"command":" \t\n"}""", "invalid_request", "command")]
    [InlineData("""{"command":5}""", "invalid_request", "command")]
    [InlineData("""{"command":"a\u0000b"}""", "invalid_request", "command")]
    [InlineData("""{"command":"true","cwd":""}""", "invalid_request", "cwd")]
    [InlineData("""{"command":"true","cwd":"a\u0000"}""", "invalid_request", "cwd")]
    [InlineData("""{"command":"true","cwd":"/etc"}""", "path_outside_workspace", "cwd")]
    [InlineData("""{"command":"true","cwd":"../x"}""", "path_outside_workspace", "cwd")]
    [InlineData("""{"command":"true","env":{"CROWNEST_X":"1"}}""", "reserved_env_key", "env")]
    [InlineData("""{"command":"true","env":{"a b":"1"}}""", "invalid_request", "env")]
    [InlineData("""{"command":"true","env":{"A":1}}""", "invalid_request", "env.A")]
    [InlineData("""{"command":"true","env":{"A":null}}""", "invalid_request", "env.A")]
    [InlineData("""{"command":"true","env":{"A":"x\u0000"}}""", "invalid_request", "env.A")]
    [InlineData("""{"command":"true","timeoutMs":0}""", "invalid_request", "timeoutMs")]
    [InlineData("""{"command":"true","timeoutMs":1.5}""", "invalid_request", "timeoutMs")]
    public async Task RunAndStart_WrongMember_IsNamed(string body, string code, string field)
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        foreach (var verb in new[] { "run", "start" })
        {
            var error = await PostAsync(tenant, sandbox, verb, body).ErrorAsync(400, code);
            Assert.Equal(field, error.GetProperty("details").Text("field"));
            // What is wrong with the body of somebody else's sandbox is nobody's business.
            await PostAsync(tenant, "sbx_unknown", verb, body).ErrorAsync(404, "not_found");
        }

        Assert.Empty((await tenant.GetAsync($"/v1/sandboxes/{sandbox}/commands", "data")).EnumerateArray());
    }

    [Theory]
    [InlineData("run", """{"command":"true","timeoutMs":600001}""", 400, "invalid_request")]
    [InlineData("run", """{"command":"true","collect":[{"path":""}]}""", 400, "invalid_request")]
    [InlineData("run", """{"command":"true","collect":{}}""", 400, "invalid_request")]
    [InlineData("run", """{"command":"true","collectOn":"never"}""", 400, "invalid_request")]
    [InlineData("start", """{"command":"true","collect":[]}""", 400, "invalid_request")]
    [InlineData("start", """{"command":"true","collectOn":"success"}""", 400, "invalid_request")]
    [InlineData("start", """{"command":"true","timeoutMs":86400001}""", 400, "invalid_request")]
    public async Task RunOrStart_WrongForThisRouteAlone_IsRefused(string verb, string body, int status, string code)
    {
        var tenant = await fixture.TenantAsync();
        await PostAsync(tenant, await tenant.SandboxAsync(), verb, body).ErrorAsync(status, code);
    }

    [Fact]
    public async Task Run_WithEmptyCollect_Runs()
    {
        var tenant = await fixture.TenantAsync();
        using var response = await PostAsync(
            tenant, await tenant.SandboxAsync(), "run", """{"command":"true","collect":[],"collectOn":"always","_crownestRequireCommandRead":true}""");
        Assert.Equal(200, (int)response.StatusCode);
    }

    [Fact]
    public async Task RunAndStart_MissingScope_IsForbiddenBeforeAnythingRuns()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        using var runner = await tenant.WithKeyAsync([Scopes.CommandRun]);
        foreach (var verb in new[] { "run", "start" })
        {
            var error = await runner.PostAsJsonAsync($"/v1/sandboxes/{sandbox}/commands/{verb}", new { command = "true", _crownestRequireCommandRead = true })
                .ErrorAsync(403, "forbidden");
            Assert.Equal("command:read", error.GetProperty("details").Text("requiredScope"));
        }

        var collect = await runner.PostAsJsonAsync(
            $"/v1/sandboxes/{sandbox}/commands/run", new { command = "true", collect = new[] { new { path = "a" } } }).ErrorAsync(403, "forbidden");
        Assert.Equal("artifact:create", collect.GetProperty("details").Text("requiredScope"));
        using var reader = await tenant.WithKeyAsync([Scopes.CommandRead]);
        await reader.PostAsJsonAsync($"/v1/sandboxes/{sandbox}/commands/run", new { command = "true" }).ErrorAsync(403, "forbidden");
        Assert.Empty((await tenant.GetAsync($"/v1/sandboxes/{sandbox}/commands", "data")).EnumerateArray());
    }

    [Fact]
    public async Task Run_SandboxIsGone_Is410WithItsStatus()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        await fixture.Worker.Sandboxes.MarkExpiringAsync(sandbox, DestroyedReason.IdleExpired, default);
        var error = await tenant.RunAsync(sandbox, new { command = "true" }).ErrorAsync(410, "sandbox_destroyed");
        Assert.Equal("expiring", error.GetProperty("details").Text("status"));
        await fixture.Worker.DestroyAsync(sandbox);
        error = await tenant.StartAsync(sandbox, new { command = "true" }).ErrorAsync(410, "sandbox_destroyed");
        Assert.Equal("destroyed", error.GetProperty("details").Text("status"));
        var failed = await tenant.SandboxAsync();
        await fixture.Worker.Sandboxes.MarkFailedAsync(failed, "Lost.", DateTimeOffset.UtcNow, default);
        error = await tenant.RunAsync(failed, new { command = "true" }).ErrorAsync(410, "sandbox_destroyed");
        Assert.Equal("failed", error.GetProperty("details").Text("status"));
    }

    [Fact]
    public async Task Run_SandboxIsStillStarting_WaitsForIt()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        await fixture.Database.ExecuteAsync($"UPDATE sandboxes SET state = 'starting' WHERE id = '{sandbox}'");
        var running = tenant.RunAsync(sandbox, new { command = "exit 0" });
        await using var impatient = fixture.StartApi(("Api:Sandboxes:WorkWait", "00:00:00.2"));
        using var other = impatient.Client(tenant.Secret);
        var error = await other.PostAsJsonAsync($"/v1/sandboxes/{sandbox}/commands/run", new { command = "true" }).ErrorAsync(409, "conflict");
        Assert.Equal("starting", error.GetProperty("details").Text("status"));
        Assert.False(running.IsCompleted);
        await fixture.Database.ExecuteAsync($"UPDATE sandboxes SET state = 'ready' WHERE id = '{sandbox}'");
        using var response = await running;
        Assert.Equal(200, (int)response.StatusCode);
    }

    [Fact]
    public async Task Run_SandboxKilledMeanwhile_Is200Killed()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var running = tenant.RunAsync(sandbox, new { command = "out before; hang" });
        await Eventually.HoldsAsync(async () => await tenant.StatusAsync(sandbox) == "running", "the command runs");
        using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{sandbox}", UriKind.Relative));
        var command = (await running.JsonAsync()).GetProperty("command");
        Assert.Equal(("killed", "sandbox_destroyed"), (command.Text("status"), command.Text("killedReason")));
    }

    [Fact]
    public async Task List_Commands_AreNewestFirstWithoutOutput()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var ids = new List<string?>();
        for (var i = 0; i < 3; i++)
        {
            ids.Insert(0, (await tenant.RunAsync(sandbox, new { command = $"out {i}" }).JsonAsync()).GetProperty("command").Text("id"));
        }

        var page = await tenant.Http.GetAsync(new Uri($"/v1/sandboxes/{sandbox}/commands?limit=2", UriKind.Relative)).JsonAsync();
        var rest = await tenant.Http.GetAsync(
            new Uri($"/v1/sandboxes/{sandbox}/commands?limit=2&cursor={page.Text("nextCursor")}", UriKind.Relative)).JsonAsync();
        var items = page.GetProperty("data").EnumerateArray().Concat(rest.GetProperty("data").EnumerateArray()).ToList();
        Assert.Equal(ids, items.Select(i => i.Text("id")));
        Assert.DoesNotContain(items, i => i.Has("stdout") || i.Has("stderr"));
        Assert.False(rest.GetProperty("hasMore").GetBoolean());
        await tenant.Http.GetAsync(new Uri("/v1/sandboxes/sbx_unknown/commands", UriKind.Relative)).ErrorAsync(404, "not_found");
    }

    [Theory]
    [InlineData("", "graceful", "SIGTERM")]
    [InlineData("{}", "graceful", "SIGTERM")]
    [InlineData("""{"mode":"force"}""", "force", "SIGKILL")]
    public async Task Cancel_Running_AnswersWhenItIsGone(string body, string mode, string signal)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "hang");
        var command = (await CancelAsync(tenant, id, body).JsonAsync()).GetProperty("command");
        Assert.Equal(("canceled", mode, signal), (command.Text("status"), command.Text("cancelMode"), command.Text("terminationSignal")));
        Assert.True(command.Has("canceledAt") && command.Has("stdout") && !command.Has("exitCode"));
        Assert.Equal(command.GetRawText(), (await CancelAsync(tenant, id, "{}").JsonAsync()).GetProperty("command").GetRawText());
    }

    [Fact]
    public async Task Cancel_Refused_SaysWhy()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "hang");
        var error = await CancelAsync(tenant, id, """{"mode":"softly"}""").ErrorAsync(400, "invalid_request");
        Assert.Equal("mode", error.GetProperty("details").Text("field"));
        await CancelAsync(tenant, "cmd_unknown", "{}").ErrorAsync(404, "not_found");
        await CancelAsync(await fixture.TenantAsync(), id, "{}").ErrorAsync(404, "not_found");
        using var reader = await tenant.WithKeyAsync([Scopes.CommandRead]);
        await reader.PostAsync(new Uri($"/v1/commands/{id}/cancel", UriKind.Relative), null).ErrorAsync(403, "forbidden");
    }

    [Fact]
    public async Task Get_ForeignCommand_IsNotFound()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "exit 0");
        var other = await fixture.TenantAsync();
        foreach (var path in new[] { "", "/logs", "/stream", "/logs/download" })
        {
            await other.Http.GetAsync(new Uri($"/v1/commands/{id}{path}", UriKind.Relative)).ErrorAsync(404, "not_found");
        }
    }

    private static Task<HttpResponseMessage> PostAsync(Tenant tenant, string sandbox, string verb, string json) =>
        tenant.Http.PostAsync(new Uri($"/v1/sandboxes/{sandbox}/commands/{verb}", UriKind.Relative), new StringContent(json));

    private static Task<HttpResponseMessage> CancelAsync(Tenant tenant, string id, string json) =>
        tenant.Http.PostAsync(new Uri($"/v1/commands/{id}/cancel", UriKind.Relative), json.Length == 0 ? null : new StringContent(json));
}
