using System.Diagnostics;
using CrowNest.Api.Tests.Commands;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>Events as a window and as a stream (docs/reference/api.md 10.8, H5 to H7).</summary>
public sealed class RunEventTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Window_PageByPage_GivesEveryEventOnce()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        var all = await tenant.EventsAsync(id);
        Assert.Equal(Enumerable.Range(1, all.Count).Select(n => (long)n), all.Select(e => e.Number("seq")));
        Assert.All(all, e => Assert.True(e.Has("createdAt")));
        var seen = new List<string>();
        var after = 0L;
        for (var more = true; more;)
        {
            var page = await tenant.GetAsync($"/v1/workspace-runs/{id}/events?limit=2&afterSeq={after}").JsonAsync();
            seen.AddRange(page.GetProperty("data").EnumerateArray().Select(e => e.GetRawText()));
            Assert.Equal(seen.Count, page.Number("nextSeq"));
            after = page.Number("nextSeq");
            more = page.GetProperty("hasMore").GetBoolean();
        }

        Assert.Equal(all.Select(e => e.GetRawText()), seen);
        var end = await tenant.GetAsync($"/v1/workspace-runs/{id}/events?afterSeq={after}").JsonAsync();
        Assert.Equal("""{"data":[],"hasMore":false}""", end.GetRawText());
        var terminal = all[^1].GetProperty("workspaceRun");
        Assert.Equal((await tenant.ReadRunAsync(id)).GetRawText(), terminal.GetRawText());
        Assert.Equal(
            ("succeeded", 0L, true),
            (terminal.Text("status"), terminal.Number("exitCode"), terminal.GetProperty("evidenceAvailable").GetBoolean()));
        Assert.Equal("a\0\u001b[1m\ud83d\ude00\n", all.First(e => e.Text("type") == "stdout").Text("data"));
    }

    [Theory]
    [InlineData("afterSeq=-1", "afterSeq")]
    [InlineData("afterSeq=x&stream=true", "afterSeq")]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=501", "limit")]
    [InlineData("limit=501&stream=true", "limit")]
    [InlineData("stream=yes", "stream")]
    public async Task Events_WrongParameter_IsNamed(string query, string field)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var error = await tenant.GetAsync($"/v1/workspace-runs/{id}/events?{query}").ErrorAsync(400, "invalid_request");
        Assert.Equal(field, error.GetProperty("details").Text("field"));
    }

    [Fact]
    public async Task Stream_FinishedRun_IsTheWindowUpToTerminal()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        using var stream = await OpenAsync(tenant, id, "&limit=1");
        Assert.Equal("text/event-stream", stream.Response.Content.Headers.ContentType!.MediaType);
        Assert.True(stream.Response.Headers.CacheControl!.NoStore);
        var events = await stream.ToEndAsync();
        Assert.Equal((await tenant.EventsAsync(id)).Select(e => e.GetRawText()), events.Select(e => e.Data.GetRawText()));
        Assert.All(events, e => Assert.Equal((e.Data.Text("type"), $"{e.Data.Number("seq")}"), (e.Type, e.Id)));
        Assert.Equal("terminal", events[^1].Type);
    }

    [Fact]
    public async Task Stream_FromCreationToEnd_IsLiveAndWhatAReplaySays()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        using var stream = await OpenAsync(tenant, id);
        Assert.Equal("awaiting_archive", (await stream.NextAsync())!.Data.Text("status"));
        using var uploaded = await tenant.UploadAsync(id, RunCalls.Archive());
        Assert.Equal("archive_progress", (await stream.NextAsync())!.Type);
        Assert.Equal("archive_uploaded", (await stream.NextAsync())!.Data.Text("status"));
        using var started = await tenant.PostAsync(id, "start");
        Assert.Equal("starting", (await stream.NextAsync())!.Data.Text("status"));
        var worker = TestRunWorker.Of(fixture);
        await worker.ClaimAsync(id);
        await worker.AdvanceAsync(id, WorkspaceRunStatus.Running);
        Assert.Equal("extracting", (await stream.NextAsync())!.Data.Text("status"));
        Assert.Equal("running", (await stream.NextAsync())!.Data.Text("status"));
        var delays = new List<double>();
        for (var i = 0; i < 20; i++)
        {
            var next = stream.NextAsync();
            await worker.WriteAsync(id, $"{i}");
            var began = Stopwatch.GetTimestamp();
            Assert.Equal($"{i}", (await next)!.Data.Text("data"));
            delays.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        delays.Sort();
        Assert.True(delays[10] < 200, $"woken after {delays[10]:0.0} ms: by the poll, not by the wake-up");
        await worker.StepAsync(id, WorkspaceRunStatus.Collecting);
        await worker.EndAsync(id, WorkspaceRunStatus.Failed, WorkspaceRunFailure.CommandExit, exitCode: 3);
        Assert.Equal("collecting", (await stream.NextAsync())!.Data.Text("status"));
        Assert.Equal("failed", (await stream.NextAsync())!.Data.Text("status"));
        var terminal = (await stream.NextAsync())!;

        // H7: whoever hears of the end finds the evidence, and finds it saying the same.
        var evidence = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence");
        Assert.Equal(("terminal", 3L, "command_exit"), (terminal.Type, evidence.Number("exitCode"), evidence.Text("failureReason")));
        Assert.Equal(terminal.Data.Number("seq"), evidence.GetProperty("terminalEvent").Number("seq"));
        Assert.Equal(terminal.Data.Text("createdAt"), evidence.GetProperty("terminalEvent").Text("createdAt"));
        Assert.Null(await stream.NextAsync());
    }

    [Fact]
    public async Task Stream_ResumedAtEverySeq_NeitherSkipsNorRepeats()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        var count = (await tenant.EventsAsync(id)).Count;
        for (var after = 0; after < count; after++)
        {
            using var byQuery = await OpenAsync(tenant, id, $"&afterSeq={after}", lastEventId: "1");
            using var byHeader = await OpenAsync(tenant, id, "", lastEventId: $"{after}");
            var expected = Enumerable.Range(after + 1, count - after).Select(n => $"{n}").ToList();
            Assert.Equal(expected, (await byQuery.ToEndAsync()).Select(e => e.Id));
            Assert.Equal(expected, (await byHeader.ToEndAsync()).Select(e => e.Id));
        }
    }

    [Fact]
    public async Task Stream_BrokenOffWhileItIsWritten_ContinuesWithoutGap()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(id, "start");
        var worker = TestRunWorker.Of(fixture);
        await worker.ClaimAsync(id);
        await worker.AdvanceAsync(id, WorkspaceRunStatus.Running);
        var writing = Task.Run(async () =>
        {
            for (var i = 0; i < 60; i++)
            {
                await worker.WriteAsync(id, $"{i}a", $"{i}b");
            }

            await worker.StepAsync(id, WorkspaceRunStatus.Collecting);
            await worker.EndAsync(id);
        });
        var seen = new List<long>();
        await using var second = fixture.StartApi();
        using var other = second.Client(tenant.Secret);
        for (var turn = 0; ; turn++)
        {
            // Now here, now there; each connection is left after some events.
            using var stream = await SseEvents.OpenAsync(
                turn % 2 == 0 ? tenant.Http : other,
                $"/v1/workspace-runs/{id}/events?stream=true&afterSeq={(seen.Count == 0 ? 0 : seen[^1])}");
            var last = "";
            for (var n = 0; n < 11 && last != "terminal"; n++)
            {
                var item = (await stream.NextAsync())!;
                last = item.Type!;
                seen.Add(item.Data.Number("seq"));
            }

            if (last == "terminal")
            {
                break;
            }
        }

        await writing;
        Assert.Equal(Enumerable.Range(1, seen.Count).Select(n => (long)n), seen);
        Assert.Equal((await tenant.EventsAsync(id)).Count, seen.Count);
    }

    [Fact]
    public async Task Stream_OfAnUnstartedRun_StaysOpenWithHeartbeatsThatKeepThePosition()
    {
        await using var api = fixture.StartApi(("Api:HeartbeatInterval", "00:00:00.2"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.UploadedAsync();
        using var fromStart = await OpenAsync(tenant, id);
        using var resumed = await OpenAsync(tenant, id, "&afterSeq=2");
        Assert.Equal("1", (await fromStart.NextAsync())!.Id);
        Assert.Equal("2", (await fromStart.NextAsync())!.Id);
        Assert.Equal("3", (await fromStart.NextAsync())!.Id);
        Assert.Equal("3", (await resumed.NextAsync())!.Id);
        foreach (var stream in new[] { fromStart, resumed, fromStart })
        {
            var beat = (await stream.NextAsync())!;
            Assert.Equal(("heartbeat", 3L), (beat.Type, beat.Data.Number("seq")));
            Assert.True(beat.Data.Has("createdAt"));
        }

        using var canceled = await tenant.PostAsync(id, "cancel");
        Assert.Equal(["status", "terminal"], (await fromStart.ToEndAsync()).Select(e => e.Type));
    }

    [Fact]
    public async Task Stream_AheadOfWhatThereIs_StillEnds()
    {
        await using var api = fixture.StartApi(("Api:HeartbeatInterval", "00:00:00.2"));
        var tenant = await fixture.TenantAsync(api: api);
        var finished = await FinishedAsync(tenant);
        var count = (await tenant.EventsAsync(finished)).Count;
        foreach (var after in new[] { count, count + 100 })
        {
            using var late = await OpenAsync(tenant, finished, $"&afterSeq={after}");
            Assert.Equal("terminal", Assert.Single(await late.ToEndAsync()).Type);
        }

        var id = await tenant.RunAsync();
        using var ahead = await OpenAsync(tenant, id, "&afterSeq=50");
        Assert.Equal(50, (await ahead.NextAsync())!.Data.Number("seq"));
        using var canceled = await tenant.PostAsync(id, "cancel");
        Assert.Equal("terminal", Assert.Single(await ahead.ToEndAsync()).Type);
    }

    [Fact]
    public async Task Stream_WithoutRedis_IsLiveByItsPoll()
    {
        await using var api = new ApiInstance(
            fixture.Database, $"127.0.0.1:{FreePort.Next()}", ("Api:WorkspaceRuns:PollInterval", "00:00:00.1"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.RunAsync();
        using var stream = await OpenAsync(tenant, id);
        Assert.Equal("1", (await stream.NextAsync())!.Id);
        using var canceled = await tenant.PostAsync(id, "cancel");
        Assert.Equal(["2", "3"], (await stream.ToEndAsync()).Select(e => e.Id));
    }

    [Fact]
    public async Task Stream_EventsUnreadableForAWhile_WaitsAndGoesOn()
    {
        await using var api = fixture.StartApi(
            ("Api:HeartbeatInterval", "00:00:00.2"), ("Api:WorkspaceRuns:PollInterval", "00:00:00.1"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.RunAsync();
        using var stream = await OpenAsync(tenant, id);
        Assert.Equal("1", (await stream.NextAsync())!.Id);
        await fixture.Database.ExecuteAsync("ALTER TABLE workspace_run_events RENAME TO workspace_run_events_away");
        try
        {
            for (var beats = 0; beats < 3; beats++)
            {
                var beat = (await stream.NextAsync())!;
                Assert.Equal(("heartbeat", 1L), (beat.Type, beat.Data.Number("seq")));
            }
        }
        finally
        {
            await fixture.Database.ExecuteAsync("ALTER TABLE workspace_run_events_away RENAME TO workspace_run_events");
        }

        using var canceled = await tenant.PostAsync(id, "cancel");
        Assert.Equal(["2", "3"], (await stream.ToEndAsync()).Select(e => e.Id));
    }

    [Fact]
    public async Task Stream_ClientLeaves_IsForgotten()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var wakeUps = fixture.Api.Services.GetRequiredService<RunWakeUps>();
        using (var stream = await OpenAsync(tenant, id))
        {
            Assert.Equal("1", (await stream.NextAsync())!.Id);
            Assert.Equal(1, wakeUps.Count);
        }

        await Eventually.HoldsAsync(() => wakeUps.Count == 0, "nobody follows the run");
        Assert.Equal("awaiting_archive", (await tenant.ReadRunAsync(id)).Text("status"));
    }

    private static Task<SseEvents> OpenAsync(Tenant tenant, string id, string query = "", string? lastEventId = null) =>
        SseEvents.OpenAsync(tenant.Http, $"/v1/workspace-runs/{id}/events?stream=true{query}", lastEventId);

    private async Task<string> FinishedAsync(Tenant tenant)
    {
        var id = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(id, "start");
        await TestRunWorker.Of(fixture).CarryAsync(id, "a\0\u001b[1m\ud83d\ude00\n", "b");
        return id;
    }
}
