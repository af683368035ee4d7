using System.Security.Cryptography;
using System.Text;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http;

namespace CrowNest.Client.Tests;

public sealed class WorkspaceRunTests
{
    private const string RunId = "wsr_aaaaaaaaaaaaaaaaaaaaaaaa";

    [Fact]
    public async Task Requests_OfEveryMethod_AreThoseOfTheContract()
    {
        await using var server = await ApiServer.StartAsync(Answer());
        var runs = server.Client("/crownest").WorkspaceRuns;
        using var archive = new MemoryStream("xarchive"u8.ToArray()) { Position = 1 };
        var described = await WorkspaceRunsClient.DescribeAsync(archive);
        Assert.Equal((Digest("archive"), 7L, 1L), (described.Sha256, described.SizeBytes, archive.Position));

        await runs.CreateAsync(new() { Command = "true", KeepSandbox = true }, "key-1");
        await runs.GetAsync(RunId);
        await runs.ListAsync(
            new() { Status = "failed", ProjectId = "prj_1", Metadata = new Dictionary<string, string> { ["a.b"] = "c d" }, Limit = 5 });
        Assert.Equal(described.Sha256, (await runs.UploadArchiveAsync(RunId, archive, described)).Archive.Sha256);
        archive.Position = 1;
        var transfer = await runs.CreateArchiveTransferAsync(RunId, described);
        await runs.UploadArchiveToTransferAsync(transfer, archive);
        await runs.FinalizeArchiveAsync(RunId, transfer.Id, described);
        await runs.StartAsync(RunId);
        await runs.CancelAsync(RunId);
        Assert.Equal(1, Assert.Single((await runs.EventsAsync(RunId, afterSeq: 3, limit: 9)).Data).Seq);
        Assert.Equal("evk_1.e30.c2ln", await runs.GetSignedEvidenceAsync(RunId));

        var root = $"/crownest/v1/workspace-runs";
        Assert.Equal(
            [
                $"POST {root}", $"GET {root}/{RunId}", $"GET {root}?projectId=prj_1&status=failed&limit=5&metadata.a.b=c%20d",
                $"PUT {root}/{RunId}/archive", $"POST {root}/{RunId}/archive-transfer", $"PUT {root}/{RunId}/archive-transfer/upl_1",
                $"POST {root}/{RunId}/archive/finalize", $"POST {root}/{RunId}/start", $"POST {root}/{RunId}/cancel",
                $"GET {root}/{RunId}/events?afterSeq=3&limit=9", $"GET {root}/{RunId}/evidence?format=jws",
            ],
            server.Requests.Select(r => $"{r.Method} {r.Target}"));
        var seen = server.Requests.ToArray();
        Assert.Equal(("key-1", """{"command":"true","keepSandbox":true}"""), (seen[0].Headers["Idempotency-Key"], seen[0].Body));
        Assert.Equal(
            (described.Sha256, "7", "application/gzip", "7", "archive"),
            (seen[3].Headers["x-crownest-archive-sha256"], seen[3].Headers["x-crownest-archive-size"], seen[3].Headers["Content-Type"],
                seen[3].Headers["Content-Length"], seen[3].Body));
        Assert.Equal(
            ("Bearer cn_live_test", "archive", "application/gzip", "7", "yes"),
            (seen[5].Headers["Authorization"], seen[5].Body, seen[5].Headers["Content-Type"],
                seen[5].Headers["Content-Length"], seen[5].Headers["x-extra"]));
        Assert.Contains("\"uploadId\":\"upl_1\"", seen[6].Body, StringComparison.Ordinal);
        Assert.All(new[] { 3, 4, 6, 7, 8 }, n => Assert.True(seen[n].Headers.ContainsKey("Idempotency-Key")));
        Assert.Equal(("", ""), (seen[7].Body, seen[8].Body));
    }

    [Fact]
    public async Task UploadToTransfer_OnAnotherOrigin_KeepsTheCredentialBack()
    {
        await using var api = await ApiServer.StartAsync(Answer());
        await using var storage = await ApiServer.StartAsync(context =>
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return Task.CompletedTask;
        });
        var transfer = new ArchiveTransfer
        {
            Id = "upl_1",
            WorkspaceRunId = RunId,
            Status = "pending",
            Method = "PUT",
            UploadUrl = storage.Url + "/bucket/key?sig=1",
            Headers = new Dictionary<string, string> { ["x-token"] = "t", ["content-type"] = "application/gzip", ["Content-Length"] = "7" },
            ChecksumAlgorithm = "sha256",
            MaxSizeBytes = 100,
            ExpiresAt = DateTimeOffset.UnixEpoch,
        };
        using var archive = new MemoryStream("archive"u8.ToArray());
        await api.Client().WorkspaceRuns.UploadArchiveToTransferAsync(transfer, archive);
        var request = Assert.Single(storage.Requests);
        Assert.False(request.Headers.ContainsKey("Authorization"));
        Assert.Equal(("t", "archive", "/bucket/key?sig=1"), (request.Headers["x-token"], request.Body, request.Target));
    }

    [Fact]
    public async Task Stream_ConnectionsBreak_ContinuesAfterTheLastEventOfAnyType()
    {
        var connection = 0;
        await using var server = await ApiServer.StartAsync(async context =>
        {
            switch (connection++)
            {
                case 0:
                    await context.Response.WriteEventsAsync(Event(1, "status"), Heartbeat(1));
                    break;
                case 1:
                    // A server that repeats itself.
                    await context.Response.WriteEventsAsync(Event(1, "status"), Event(2, "archive_progress"), Heartbeat(2));
                    break;
                default:
                    await context.Response.WriteEventsAsync(Event(3, "stdout"), Terminal(4));
                    break;
            }
        });
        var interruptions = new List<bool>();
        var events = new List<string>();
        await foreach (var item in server.Client().WorkspaceRuns.StreamAsync(RunId, new() { OnInterrupted = interruptions.Add }))
            events.Add($"{item.Seq}:{item.Type}");
        Assert.Equal(["1:status", "2:archive_progress", "3:stdout", "4:terminal"], events);
        Assert.Equal([true, false, true, false], interruptions);
        Assert.Equal(
            ["?stream=true", "?afterSeq=1&stream=true", "?afterSeq=2&stream=true"],
            server.Requests.Select(r => r.Target.Split("/events")[1]));
    }

    [Fact]
    public async Task Stream_TerminalThatWasSeenBefore_StillEndsIt()
    {
        await using var server = await ApiServer.StartAsync(context => context.Response.WriteEventsAsync(Terminal(4)));
        var events = new List<WorkspaceRunEvent>();
        await foreach (var item in server.Client().WorkspaceRuns.StreamAsync(RunId, new() { AfterSeq = 9 }))
            events.Add(item);
        Assert.Equal("succeeded", Assert.Single(events).WorkspaceRun!.Status);
    }

    [Theory]
    [InlineData(100, "POST runs|PUT archive|POST start|GET events")]
    [InlineData(8 * 1024 * 1024 + 1, "POST runs|POST archive-transfer|PUT upl_1|POST finalize|POST start|GET events")]
    public async Task Run_SmallOrLarge_TakesTheRightUpload(int size, string requests)
    {
        await using var server = await ApiServer.StartAsync(Answer());
        using var archive = new MemoryStream(new byte[size]);
        var story = new List<string>();
        var run = await server.Client().WorkspaceRuns.RunAsync(new() { Command = "true" }, archive, e => story.Add(e.Type));
        Assert.Equal("succeeded", run.Status);
        Assert.Equal(["stdout", "terminal"], story);
        Assert.Equal(requests, string.Join('|', server.Requests.Select(
            r => $"{r.Method} {r.Target.Split('?')[0].Split('/')[^1].Replace("workspace-runs", "runs", StringComparison.Ordinal)}")));
    }

    [Fact]
    public async Task Run_GivenUp_IsCanceled()
    {
        var answer = Answer();
        using var giveUp = new CancellationTokenSource();
        await using var server = await ApiServer.StartAsync(async context =>
        {
            if (context.Request.Path.Value!.EndsWith("/events", StringComparison.Ordinal))
            {
                await context.Response.WriteEventsAsync(Event(1, "status"));
                await giveUp.CancelAsync();
                await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                return;
            }

            await answer(context);
        });
        using var archive = new MemoryStream(new byte[10]);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => server.Client().WorkspaceRuns.RunAsync(new() { Command = "true" }, archive, onEvent: null, giveUp.Token));
        Assert.EndsWith("/cancel", server.Requests.Last().Target, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evidence_WithMembersOfALaterVersion_IsRead()
    {
        var evidence = $$"""
            {"evidence":{"workspaceRunId":"{{RunId}}","orgId":"org_1","projectId":"prj_1","status":"succeeded","command":"true",
            "createdAt":"2026-11-22T10:00:00.000Z","metadata":{},"artifactErrors":[],"artifactIds":[],"envKeys":[],
            "cleanupStatus":"succeeded",
            "orchestrationSucceeded":true,"templateId":"tpl_base","templateSlug":"base","templateVersion":"1","templateVersionId":"tplv_1",
            "artifacts":[],"terminalEvent":{"seq":9,"createdAt":"2026-11-22T10:00:00.000Z","status":"succeeded" },"later":{"x":1} } }
            """;
        await using var server = await ApiServer.StartAsync(200, evidence);
        var read = await server.Client().WorkspaceRuns.GetEvidenceAsync(RunId);
        Assert.Equal((RunId, 9L), (read.WorkspaceRunId, read.TerminalEvent.Seq));
    }

    private static string Digest(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(text)));

    private static string Run(string status = "awaiting_archive") => $$"""
        {"id":"{{RunId}}","orgId":"org_1","projectId":"prj_1","status":"{{status}}","command":"true","keepSandbox":false,"metadata":{},
        "templateId":"tpl_base","templateSlug":"base","templateVersion":"1","templateVersionId":"tplv_1",
        "createdAt":"2026-11-22T10:00:00.000Z",
        "timeoutMs":1000,"envKeys":[],"evidenceAvailable":false}
        """.ReplaceLineEndings("");

    private static string Event(long seq, string type) => $$"""{"type":"{{type}}","seq":{{seq}},"createdAt":"2026-11-22T10:00:00.000Z"}""";

    private static string Heartbeat(long seq) => Event(seq, "heartbeat");

    private static string Terminal(long seq) =>
        $$"""{"type":"terminal","seq":{{seq}},"createdAt":"2026-11-22T10:00:00.000Z","workspaceRun":{{Run("succeeded")}} }""";

    /// <summary>An API that takes everything.</summary>
    private static RequestDelegate Answer() => context =>
    {
        var (method, path) = (context.Request.Method, context.Request.Path.Value!);
        var last = path.Split('/')[^1];
        if (method == "PUT" && last == "upl_1")
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return Task.CompletedTask;
        }

        if (last == "events" && context.Request.Query.ContainsKey("stream"))
        {
            return context.Response.WriteEventsAsync(Event(1, "stdout"), Terminal(2));
        }

        var origin = $"{context.Request.Scheme}://{context.Request.Host}{context.Request.PathBase}";
        return context.Response.WriteAsync((method, last) switch
        {
            ("GET", "workspace-runs") => """{"data":[],"hasMore":false}""",
            ("GET", "events") => $$"""{"data":[{{Event(1, "status")}}],"hasMore":false,"nextSeq":1}""",
            ("GET", "evidence") => "evk_1.e30.c2ln",
            ("PUT", "archive") or ("POST", "finalize") =>
                $$"""{"archive":{"sha256":"{{Digest("archive")}}","sizeBytes":7},"workspaceRun":{{Run("archive_uploaded")}} }""",
            ("POST", "archive-transfer") => $$"""
                {"transfer":{"id":"upl_1","workspaceRunId":"{{RunId}}","status":"pending","method":"PUT",
                "uploadUrl":"{{origin}}{{path}}/upl_1","headers":{"content-type":"application/gzip","content-length":"7","x-extra":"yes"},
                "checksumAlgorithm":"sha256","maxSizeBytes":100,"expiresAt":"2026-11-22T10:10:00.000Z"} }
                """,
            _ => $$"""{"workspaceRun":{{Run()}} }""",
        });
    };
}
