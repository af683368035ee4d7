using System.Diagnostics;
using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Commands;

public sealed class CommandLogTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Logs_OnePerPage_GiveEveryChunkOnce(bool fromObject)
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant, "out a; err b; out c", fromObject);
        var seen = new List<string>();
        var after = 0L;
        for (var more = true; more;)
        {
            var page = await LogsAsync(tenant, id, $"?limit=1&afterSeq={after}").JsonAsync();
            var chunk = Assert.Single(page.GetProperty("data").EnumerateArray());
            Assert.Equal(id, chunk.Text("commandId"));
            Assert.Equal(after + 1, chunk.Number("seq"));
            Assert.Equal(chunk.Number("seq"), page.Number("nextSeq"));
            Assert.True(chunk.Time("createdAt") > DateTimeOffset.UtcNow.AddMinutes(-1));
            seen.Add($"{chunk.Text("stream")} {chunk.Text("data")}");
            after = page.Number("nextSeq");
            more = page.GetProperty("hasMore").GetBoolean();
        }

        Assert.Equal(["stdout a\n", "stderr b\n", "stdout c\n"], seen);
        var end = await LogsAsync(tenant, id, "?afterSeq=3").JsonAsync();
        Assert.Empty(end.GetProperty("data").EnumerateArray());
        Assert.False(end.GetProperty("hasMore").GetBoolean() || end.Has("nextSeq"));
    }

    [Theory]
    [InlineData("afterSeq=-1", "afterSeq")]
    [InlineData("afterSeq=x", "afterSeq")]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=501", "limit")]
    public async Task Logs_WrongParameter_IsNamed(string query, string field)
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant, "out a", fromObject: false);
        var error = await LogsAsync(tenant, id, $"?{query}").ErrorAsync(400, "invalid_request");
        Assert.Equal(field, error.GetProperty("details").Text("field"));
    }

    [Fact]
    public async Task Logs_OfARunningCommand_HaveWhatIsThereNow()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "out a; hang");
        var page = await Eventually.GivesAsync(
            () => LogsAsync(tenant, id, "").JsonAsync(), p => p.GetProperty("data").GetArrayLength() == 1, "the chunk is there");
        Assert.False(page.GetProperty("hasMore").GetBoolean());
        await fixture.Worker.Command(id).ExitAsync(0);
    }

    [Fact]
    public async Task LogsAndStream_BeforeTheRetained_AreAGap()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "out a; out b; out c; hang");
        await Eventually.HoldsAsync(
            async () => (await fixture.Worker.Writer.ReadRangeAsync(id)).LatestSeq == 3, "three chunks are there");
        await fixture.Worker.Writer.TrimAsync(id, 3);
        foreach (var path in new[] { "logs", "stream" })
        {
            var error = await tenant.Http.GetAsync(new Uri($"/v1/commands/{id}/{path}?afterSeq=1", UriKind.Relative)).ErrorAsync(409, "stream_gap");
            Assert.Equal((3, 3), (error.GetProperty("details").Number("oldestSeq"), error.GetProperty("details").Number("latestSeq")));
        }

        var page = await LogsAsync(tenant, id, "").JsonAsync();
        Assert.Equal(3, Assert.Single(page.GetProperty("data").EnumerateArray()).Number("seq"));
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream?afterSeq=2");
        Assert.Equal("3", (await stream.NextAsync())!.Id);
        await fixture.Worker.Command(id).ExitAsync(0);
    }

    [Fact]
    public async Task Stream_WhenRetentionOvertakesTheReader_EndsWithAnErrorThatSaysSo()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "out a; hang");
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream");
        Assert.Equal("1", (await stream.NextAsync())!.Id);

        // Records 2 to 4 come and go between two looks of the reader: nothing is written until they are gone.
        await fixture.Worker.Writer.DeleteAsync(id);
        await fixture.Worker.Writer.AppendAsync(id,
        [
            new LogRecord
            {
                Seq = 5,
                Stream = LogRecord.Stdout,
                CreatedAt = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
                Payload = "late\n"u8.ToArray(),
            },
        ]);
        var events = await stream.ToEndAsync();
        var error = Assert.Single(events);
        Assert.Equal(("error", null), (error.Type, error.Id));
        Assert.Equal("stream_gap", error.Data.Text("code"));
        Assert.Contains("5", error.Data.Text("message"), StringComparison.Ordinal);
        Assert.True(error.Data.Has("createdAt"));

        // The client takes up again at what is left.
        using var resumed = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream?afterSeq=4");
        Assert.Equal("5", (await resumed.NextAsync())!.Id);
        await fixture.Worker.Command(id).ExitAsync(0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stream_FinishedCommand_ReplaysThenTells(bool fromObject)
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant, "out a; err b; exit 7", fromObject);
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream");
        Assert.Equal("text/event-stream", stream.Response.Content.Headers.ContentType!.MediaType);
        Assert.True(stream.Response.Headers.CacheControl!.NoStore);
        var events = await stream.ToEndAsync();
        Assert.Equal(["log", "log", "terminal"], events.Select(e => e.Type));
        Assert.Equal(["1", "2", null], events.Select(e => e.Id));
        Assert.Equal(("log", 1L, "stdout", "a\n"), (events[0].Data.Text("type"), events[0].Data.Number("seq"), events[0].Data.Text("stream"), events[0].Data.Text("data")));
        Assert.Equal("stderr", events[1].Data.Text("stream"));
        var command = events[2].Data.GetProperty("command");
        Assert.Equal((await tenant.GetAsync($"/v1/commands/{id}", "command")).GetRawText(), command.GetRawText());
        Assert.Equal((7L, "a\n"), (command.Number("exitCode"), command.Text("stdout")));
        Assert.False(events[2].Data.Has("seq"));
    }

    [Fact]
    public async Task Stream_WithoutOutput_IsOnlyTheEnd()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant, "exit 0", fromObject: false);
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream");
        Assert.Equal("terminal", Assert.Single(await stream.ToEndAsync()).Type);
    }

    [Fact]
    public async Task Stream_ResumedInTheMiddle_NeitherSkipsNorRepeats()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "out 1; out 2; hang");
        var command = fixture.Worker.Command(id);
        string? last;
        using (var first = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream"))
        {
            Assert.Equal("1", (await first.NextAsync())!.Id);
            last = (await first.NextAsync())!.Id;
        }

        await command.WriteAsync("3");
        using var byQuery = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream?afterSeq={last}", lastEventId: "0");
        using var byHeader = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream", lastEventId: last);
        Assert.Equal("3", (await byQuery.NextAsync())!.Id);
        Assert.Equal("3", (await byHeader.NextAsync())!.Id);
        await command.WriteAsync("4");
        await command.ExitAsync(0);
        foreach (var stream in new[] { byQuery, byHeader })
        {
            Assert.Equal(["4", null], (await stream.ToEndAsync()).Select(e => e.Id));
        }
    }

    [Fact]
    public async Task Stream_LiveOutput_ArrivesAtOnce()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "hang");
        var command = fixture.Worker.Command(id);
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream");
        var delays = new List<double>();
        for (var i = 0; i < 50; i++)
        {
            var next = stream.NextAsync();
            var began = Stopwatch.GetTimestamp();
            await command.WriteAsync($"{i}");
            Assert.Equal($"{i}", (await next)!.Data.Text("data"));
            delays.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        await command.ExitAsync(0);
        delays.Sort();
        // How soon, bench/ measures.
        Assert.True(delays[25] < 200, $"woken after {delays[25]:0.0} ms: by the poll, not by the wake-up");
    }

    [Fact]
    public async Task Stream_Silence_IsFilledWithHeartbeats()
    {
        await using var api = fixture.StartApi(("Api:HeartbeatInterval", "00:00:00.2"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.CommandAsync(await tenant.SandboxAsync(), "hang");
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream");
        for (var i = 0; i < 2; i++)
        {
            var beat = (await stream.NextAsync())!;
            Assert.Equal(("heartbeat", null, "heartbeat"), (beat.Type, beat.Id, beat.Data.Text("type")));
            Assert.True(beat.Data.Has("createdAt") && !beat.Data.Has("seq"));
        }

        await fixture.Worker.Command(id).ExitAsync(0);
        Assert.Equal("terminal", (await stream.ToEndAsync())[^1].Type);
    }

    [Fact]
    public async Task Stream_SandboxKilled_EndsWithTheKilledCommand()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var id = await tenant.CommandAsync(sandbox, "out a; hang");
        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{id}/stream");
        Assert.Equal("1", (await stream.NextAsync())!.Id);
        using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{sandbox}", UriKind.Relative));
        var terminal = Assert.Single(await stream.ToEndAsync());
        Assert.Equal("killed", terminal.Data.GetProperty("command").Text("status"));
    }

    [Theory]
    [InlineData("?afterSeq=-1")]
    [InlineData("?afterSeq=1.5")]
    public async Task Stream_WrongAfterSeq_IsAnOrdinaryError(string query)
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant, "out a", fromObject: false);
        await tenant.Http.GetAsync(new Uri($"/v1/commands/{id}/stream{query}", UriKind.Relative)).ErrorAsync(400, "invalid_request");
        using var runner = await tenant.WithKeyAsync([Scopes.CommandRun]);
        await runner.GetAsync(new Uri($"/v1/commands/{id}/stream", UriKind.Relative)).ErrorAsync(403, "forbidden");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Download_ByLinkOrBearer_IsAllOutputAsText(bool fromObject)
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant, "out ä; err b; out c", fromObject);
        var link = await tenant.Http.PostAsync(new Uri($"/v1/commands/{id}/logs/download-url", UriKind.Relative), null).JsonAsync();
        Assert.Equal("GET", link.Text("method"));
        Assert.InRange(link.Time("expiresAt"), DateTimeOffset.UtcNow.AddMinutes(14), DateTimeOffset.UtcNow.AddMinutes(16));
        using var anonymous = fixture.Api.Client(bearer: null);
        using var byLink = await anonymous.GetAsync(new Uri(link.Text("url")!));
        using var byBearer = await tenant.Http.GetAsync(new Uri($"/v1/commands/{id}/logs/download", UriKind.Relative));
        foreach (var response in new[] { byLink, byBearer })
        {
            Assert.Equal("text/plain; charset=utf-8", response.Content.Headers.ContentType!.ToString());
            Assert.Equal("ä\nb\nc\n", await response.Content.ReadAsStringAsync());
        }

        await anonymous.GetAsync(new Uri(link.Text("url") + "x")).ErrorAsync(403, "forbidden");
        await anonymous.GetAsync(new Uri($"/v1/commands/{id}/logs/download", UriKind.Relative)).ErrorAsync(401, "unauthorized");
        await anonymous.GetAsync(new Uri(link.Text("url")!.Replace("/logs/download", "", StringComparison.Ordinal))).ErrorAsync(401, "unauthorized");
        await tenant.Http.PostAsync(new Uri("/v1/commands/cmd_unknown/logs/download-url", UriKind.Relative), null).ErrorAsync(404, "not_found");
    }

    private static Task<HttpResponseMessage> LogsAsync(Tenant tenant, string id, string query) =>
        tenant.Http.GetAsync(new Uri($"/v1/commands/{id}/logs{query}", UriKind.Relative));

    private async Task<string> FinishedAsync(Tenant tenant, string command, bool fromObject)
    {
        var ran = (await tenant.RunAsync(await tenant.SandboxAsync(), new { command }).JsonAsync()).GetProperty("command");
        if (fromObject)
        {
            await fixture.Worker.Command(ran.Text("id")!).MoveLogToObjectAsync(tenant.OrgId);
        }

        return ran.Text("id")!;
    }
}
