using System.Diagnostics;
using System.Net.Http.Json;
using CrowNest.Api.Tests.Commands;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Fleet;

/// <summary>Nodes, callers and backing services that go away in the middle.</summary>
public sealed class FailureTests(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly ResourceFixture _fixture = new(postgres);

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Run_NodeRestartsMeanwhile_GivesTheResult()
    {
        var tenant = await _fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var running = tenant.RunAsync(sandbox, new { command = "out before; hang" });
        var command = await LaunchedAsync(sandbox);
        await _fixture.Worker.StopListeningAsync();
        await command.WriteAsync("while away");
        Assert.False(running.IsCompleted);
        await _fixture.Worker.ListenAsync();
        await command.ExitAsync(4);
        var ended = (await running.JsonAsync()).GetProperty("command");
        Assert.Equal(("exited", 4L, "before\nwhile away"), (ended.Text("status"), ended.Number("exitCode"), ended.Text("stdout")));
    }

    [Fact]
    public async Task RunAndStart_NodeIsDownAtFirst_AreDeliveredWhenItIsBack()
    {
        var tenant = await _fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        await _fixture.Worker.StopListeningAsync();
        var running = tenant.RunAsync(sandbox, new { command = "out x", env = new Dictionary<string, string> { ["A"] = "1" } });
        var starting = tenant.StartAsync(sandbox, new { command = "out y" });
        await Eventually.HoldsAsync(
            async () => (await tenant.GetAsync($"/v1/sandboxes/{sandbox}/commands", "data")).GetArrayLength() == 2, "both are queued");
        await _fixture.Worker.ListenAsync();
        Assert.Equal("x\n", (await running.JsonAsync()).GetProperty("command").Text("stdout"));
        using var started = await starting;
        Assert.Equal(202, (int)started.StatusCode);
        Assert.Equal("1", _fixture.Worker.Launched.Last(l => l.Command == "out x").Env["A"]);
    }

    [Fact]
    public async Task Run_CallerLeaves_TheCommandGoesOn()
    {
        var tenant = await _fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        using var leave = new CancellationTokenSource();
        var running = tenant.Http.PostAsJsonAsync($"/v1/sandboxes/{sandbox}/commands/run", new { command = "hang" }, leave.Token);
        var command = await LaunchedAsync(sandbox);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        await command.WriteAsync("still here");
        await command.ExitAsync(0);
        var ended = await tenant.GetAsync($"/v1/commands/{command.Start.CommandId}", "command");
        Assert.Equal(("exited", "still here"), (ended.Text("status"), ended.Text("stdout")));
    }

    [Fact]
    public async Task Run_InstanceDies_RetryUnderTheSameKeyGivesItsResult()
    {
        var tenant = await _fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var key = Guid.NewGuid().ToString();
        var dying = _fixture.StartApi();
        using (var client = dying.Client(tenant.Secret))
        {
            client.DefaultRequestHeaders.Add("Idempotency-Key", key);
            var running = client.PostAsJsonAsync($"/v1/sandboxes/{sandbox}/commands/run", new { command = "hang" });
            await LaunchedAsync(sandbox);
            await dying.DisposeAsync();
            await Record.ExceptionAsync(async () => (await running).Dispose());
        }

        // The lock of an instance that was killed outright lapses by itself; this one has let go.
        tenant.Http.DefaultRequestHeaders.Add("Idempotency-Key", key);
        await _fixture.Database.ExecuteAsync("UPDATE idempotency_records SET locked_until = now() WHERE response_status IS NULL");
        var retried = tenant.RunAsync(sandbox, new { command = "hang" });
        var command = await LaunchedAsync(sandbox);
        await command.ExitAsync(5);
        var ended = (await retried.JsonAsync()).GetProperty("command");
        Assert.Equal((command.Start.CommandId, 5L), (ended.Text("id"), ended.Number("exitCode")));
        Assert.Single(_fixture.Worker.Launched);
    }

    [Fact]
    public async Task Run_SameKeyAfterTheEnd_IsReplayed()
    {
        var tenant = await _fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        tenant.Http.DefaultRequestHeaders.Add("Idempotency-Key", "once");
        var first = await tenant.RunAsync(sandbox, new { command = "out x" }).JsonAsync();
        var second = await tenant.RunAsync(sandbox, new { command = "out x" }).JsonAsync();
        Assert.Equal(first.GetRawText(), second.GetRawText());
        Assert.Single(_fixture.Worker.Launched);
    }

    [Fact]
    public async Task Run_TakesLong_SendsItsHeadersEarly()
    {
        await using var api = _fixture.StartApi(("Api:EarlyHeadersAfter", "00:00:00.2"), ("Api:HeartbeatInterval", "00:00:00.1"));
        var tenant = await _fixture.TenantAsync(api: api);
        var sandbox = await tenant.SandboxAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"/v1/sandboxes/{sandbox}/commands/run", UriKind.Relative))
        {
            Content = JsonContent.Create(new { command = "hang" }),
        };
        using var response = await tenant.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal((200, "application/json"), ((int)response.StatusCode, response.Content.Headers.ContentType!.MediaType));
        var command = await LaunchedAsync(sandbox);
        Assert.False(command.Ended.IsCompleted);
        await command.ExitAsync(6);
        var body = await response.Content.ReadAsStringAsync();
        Assert.StartsWith("\n", body, StringComparison.Ordinal);
        using var json = System.Text.Json.JsonDocument.Parse(body);
        Assert.Equal(6, json.RootElement.GetProperty("command").Number("exitCode"));
    }

    [Fact]
    public async Task Run_NodeIsLost_IsKilledAndWhatItPrintedIsKept()
    {
        var tenant = await _fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var running = tenant.RunAsync(sandbox, new { command = "out last words; err oh; hang" });
        var command = await LaunchedAsync(sandbox);
        var id = command.Start.CommandId;
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream");
        await Eventually.HoldsAsync(async () => (await _fixture.Worker.Writer.ReadRangeAsync(id)).LatestSeq == 2, "it has printed");
        await _fixture.Worker.StopListeningAsync();
        await _fixture.Worker.RenewLeaseAsync(TimeSpan.FromSeconds(-1));
        try
        {
            var ended = (await running.JsonAsync()).GetProperty("command");
            Assert.Equal(("killed", "sandbox_destroyed"), (ended.Text("status"), ended.Text("killedReason")));
            var events = await stream.ToEndAsync();
            Assert.Equal(["1", "2", null], events.Select(e => e.Id));
            Assert.Equal(("last words\n", "oh\n"), (events[2].Data.GetProperty("command").Text("stdout"), events[2].Data.GetProperty("command").Text("stderr")));
            var row = await tenant.GetAsync($"/v1/sandboxes/{sandbox}", "sandbox");
            Assert.Equal("failed", row.Text("status"));
            Assert.Contains("lost", row.Text("failureMessage"), StringComparison.Ordinal);
            await _fixture.Worker.Writer.DeleteAsync(id);
            Assert.Equal("last words\noh\n", await tenant.Http.GetStringAsync(new Uri($"/v1/commands/{id}/logs/download", UriKind.Relative)));
            await tenant.RunAsync(sandbox, new { command = "true" }).ErrorAsync(410, "sandbox_destroyed");
        }
        finally
        {
            await _fixture.Worker.ListenAsync();
        }
    }

    [Fact]
    public async Task Create_NoLiveNode_IsToldAtOnce()
    {
        var tenant = await _fixture.TenantAsync();
        await _fixture.Worker.RenewLeaseAsync(TimeSpan.FromSeconds(-1));
        await using var api = _fixture.StartApi();
        using var client = api.Client(tenant.Secret);
        var watch = Stopwatch.StartNew();
        var error = await client.PostAsJsonAsync("/v1/sandboxes", new { }).ErrorAsync(500, "runtime_error");
        Assert.Contains("No node is running", error.Text("message"), StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Create_RedisIsGone_ChoosesFromTheLeases()
    {
        var tenant = await _fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        _fixture.Redis.Stop();
        try
        {
            await Eventually.HoldsAsync(async () =>
            {
                using var response = await tenant.CreateAsync();
                return (int)response.StatusCode == 201;
            }, "a sandbox is created without Redis");
            using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{sandbox}", UriKind.Relative));
            Assert.Equal(200, (int)killed.StatusCode);
        }
        finally
        {
            await _fixture.Redis.StartAsync();
        }
    }

    [Fact]
    public async Task Create_FirstNodeIsFull_TakesTheNext()
    {
        var tenant = await _fixture.TenantAsync();
        await using var second = await TestWorker.StartAsync(_fixture.Database, _fixture.Redis.ConnectionString, ResourceFixture.Version);
        await _fixture.Worker.PublishAsync(new() { [ResourceFixture.Version] = 5 });
        await using var api = _fixture.StartApi();
        _fixture.Worker.OnStart = (_, _) => Task.FromResult<IResult?>(TestWorker.Refuse(ErrorCodes.QuotaExceeded, "Full.", 429));
        using var client = api.Client(tenant.Secret);
        using var response = await client.PostAsJsonAsync("/v1/sandboxes", new { });
        Assert.Equal(201, (int)response.StatusCode);
        Assert.Single(_fixture.Worker.Started);
        Assert.Single(second.Started);
    }

    [Fact]
    public async Task Create_NeverTakenOn_IsClosedAsFailed()
    {
        await using var api = _fixture.StartApi(("Api:Fleet:AbandonedAfter", "00:00:03"), ("Api:Sandboxes:ReadyWait", "00:00:00.3"));
        var tenant = await _fixture.TenantAsync(api: api);
        var held = new TaskCompletionSource();
        _fixture.Worker.OnStart = async (_, _) =>
        {
            await held.Task;
            return null;
        };
        var sandbox = await tenant.SandboxAsync();
        Assert.Equal("creating", await tenant.StatusAsync(sandbox));
        await Eventually.HoldsAsync(async () => await tenant.StatusAsync(sandbox) == "failed", "its books are closed");
        held.SetResult();
    }

    [Fact]
    public async Task WorkerCalls_CarrySecretTraceAndRequestId()
    {
        var tenant = await _fixture.TenantAsync();
        tenant.Http.DefaultRequestHeaders.Add("X-Request-Id", "req_mine");
        await tenant.SandboxAsync();
        Assert.Equal("req_mine", _fixture.Worker.LastHeaders["X-Request-Id"]);
        Assert.NotEmpty(_fixture.Worker.LastHeaders["traceparent"].ToString());
    }

    private async Task<TestCommand> LaunchedAsync(string sandbox)
    {
        await Eventually.HoldsAsync(() => _fixture.Worker.Launched.Any(l => l.SandboxId == sandbox), "the command reaches the node");
        var id = _fixture.Worker.Launched.Last(l => l.SandboxId == sandbox).CommandId;
        await Eventually.HoldsAsync(async () => (await _fixture.Worker.Commands.FindAsync(id, default))!.State == "running", "it runs");
        return _fixture.Worker.Command(id);
    }
}
