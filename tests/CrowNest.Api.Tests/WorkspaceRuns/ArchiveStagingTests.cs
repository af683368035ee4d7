using System.IO.Pipelines;
using System.Net.Http.Json;
using System.Text.Json;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>The staged upload (docs/reference/api.md 10.5).</summary>
public sealed class ArchiveStagingTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Staged_AnnouncedSentFinalized_IsTheArchive(bool chunked)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        // Above what the server would take of a body by itself.
        var bytes = RunCalls.Archive(40 * 1024 * 1024);
        using var created = await AnnounceAsync(tenant, id, bytes);
        Assert.Equal(201, (int)created.StatusCode);
        var transfer = (await created.JsonAsync()).GetProperty("transfer");
        Assert.StartsWith("upl_", transfer.Text("id"), StringComparison.Ordinal);
        Assert.Equal((id, "pending", "PUT", "sha256"),
            (transfer.Text("workspaceRunId"), transfer.Text("status"), transfer.Text("method"), transfer.Text("checksumAlgorithm")));
        Assert.Equal(512L * 1024 * 1024, transfer.Number("maxSizeBytes"));
        Assert.InRange(transfer.Time("expiresAt"), DateTimeOffset.UtcNow.AddMinutes(9), DateTimeOffset.UtcNow.AddMinutes(10));
        Assert.Equal(("application/gzip", $"{bytes.Length}"),
            (transfer.GetProperty("headers").Text("content-type"), transfer.GetProperty("headers").Text("content-length")));
        Assert.Equal($"{tenant.Http.BaseAddress}v1/workspace-runs/{id}/archive-transfer/{transfer.Text("id")}", transfer.Text("uploadUrl"));

        using var sent = await SendAsync(tenant, transfer, bytes, chunked);
        Assert.Equal(204, (int)sent.StatusCode);
        Assert.Empty(await sent.Content.ReadAsByteArrayAsync());
        Assert.Equal("awaiting_archive", (await tenant.ReadRunAsync(id)).Text("status"));
        using var final = await FinalizeAsync(tenant, id, transfer, bytes);
        Assert.Equal(200, (int)final.StatusCode);
        var body = await final.JsonAsync();
        Assert.Equal((RunCalls.Digest(bytes), (long)bytes.Length),
            (body.GetProperty("archive").Text("sha256"), body.GetProperty("archive").Number("sizeBytes")));
        Assert.Equal("archive_uploaded", body.GetProperty("workspaceRun").Text("status"));
        Assert.Equal(RunCalls.Digest(bytes), RunCalls.Digest(await File.ReadAllBytesAsync(Assert.Single(tenant.Objects(id)))));
        var progress = (await tenant.EventsAsync(id)).Where(e => e.Text("type") == "archive_progress")
            .Select(e => e.Number("receivedBytes")).ToList();
        Assert.InRange(progress.Count, 2, 5);
        Assert.Equal(progress.Order(), progress);
        Assert.Equal(bytes.Length, progress[^1]);
    }

    [Fact]
    public async Task Staged_UrlsBelowAPrefix_KeepIt()
    {
        await using var api = fixture.StartApi(("Api:PublicBaseUrl", "https://example.com/crownest"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.RunAsync();
        var transfer = (await AnnounceAsync(tenant, id, RunCalls.Archive()).JsonAsync()).GetProperty("transfer");
        Assert.StartsWith(
            $"https://example.com/crownest/v1/workspace-runs/{id}/archive-transfer/upl_",
            transfer.Text("uploadUrl"), StringComparison.Ordinal);
        using var sent = await tenant.Http.PutAsync(
            new Uri(new Uri(transfer.Text("uploadUrl")!).AbsolutePath, UriKind.Relative), new ByteArrayContent(new byte[1000]));
        Assert.Equal(204, (int)sent.StatusCode);
    }

    [Theory]
    [InlineData("{}", 400, "invalid_request", "sha256")]
    [InlineData("""{"sha256":"abc","sizeBytes":1}""", 400, "invalid_request", "sha256")]
    [InlineData("""{"sha256":"HEX"}""", 400, "invalid_request", "sizeBytes")]
    [InlineData("""{"sha256":"HEX","sizeBytes":0}""", 400, "invalid_request", "sizeBytes")]
    [InlineData("""{"sha256":"HEX","sizeBytes":"1"}""", 400, "invalid_request", "sizeBytes")]
    [InlineData("""{"sha256":"HEX","sizeBytes":536870913}""", 413, "file_too_large", null)]
    public async Task Announce_WrongMember_IsNamed(string body, int status, string code, string? field)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        using var content = new StringContent(body.Replace("HEX", new string('a', 64), StringComparison.Ordinal));
        var error = await tenant.Http.PostAsync(new Uri($"/v1/workspace-runs/{id}/archive-transfer", UriKind.Relative), content)
            .ErrorAsync(status, code);
        Assert.Equal(field, field is null ? null : error.GetProperty("details").Text("field"));
    }

    [Fact]
    public async Task Send_Repeated_LastBytesWinAndReplacedOnesGo()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var transfer = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        // Of the right size, but others: that is found out at the end.
        using var wrong = await SendAsync(tenant, transfer, RunCalls.Archive());
        Assert.Equal(204, (int)wrong.StatusCode);
        await FinalizeAsync(tenant, id, transfer, bytes).ErrorAsync(400, "upload_checksum_mismatch");
        await SendAsync(tenant, transfer, RunCalls.Archive(999)).ErrorAsync(400, "upload_size_mismatch");
        await SendAsync(tenant, transfer, RunCalls.Archive(1001), chunked: true).ErrorAsync(400, "upload_size_mismatch");
        await SendAsync(tenant, transfer, RunCalls.Archive(999), chunked: true).ErrorAsync(400, "upload_size_mismatch");
        using var right = await SendAsync(tenant, transfer, bytes, chunked: true);
        Assert.Equal(204, (int)right.StatusCode);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(Assert.Single(tenant.Objects(id))));
        Assert.Equal(0, tenant.UnfinishedObjects());
        using var final = await FinalizeAsync(tenant, id, transfer, bytes);
        Assert.Equal(200, (int)final.StatusCode);
    }

    [Fact]
    public async Task Send_ManyAtOnce_LeaveOneObject()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive(300_000);
        var transfer = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        var responses = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => SendAsync(tenant, transfer, bytes, chunked: true)));
        Assert.All(responses, r => Assert.Equal(204, (int)r.StatusCode));
        Assert.Single(tenant.Objects(id));
        var ends = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => FinalizeAsync(tenant, id, transfer, bytes)));
        Assert.Contains(ends, e => e.IsSuccessStatusCode);
        Assert.All(ends.Where(e => !e.IsSuccessStatusCode), e => Assert.Equal(409, (int)e.StatusCode));
        Assert.Equal(bytes, await File.ReadAllBytesAsync(Assert.Single(tenant.Objects(id))));
        Assert.Single((await tenant.StoryAsync(id)).Split(' '), e => e == "archive_uploaded");
    }

    [Fact]
    public async Task Finalize_WhatDoesNotAgree_IsRefused()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var transfer = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        await FinalizeAsync(tenant, id, transfer, bytes).ErrorAsync(409, "upload_incomplete");
        using var sent = await SendAsync(tenant, transfer, bytes);
        await FinalizeAsync(tenant, id, transfer, bytes, size: 999).ErrorAsync(400, "upload_size_mismatch");
        await FinalizeAsync(tenant, id, transfer, RunCalls.Archive()).ErrorAsync(400, "upload_checksum_mismatch");
        foreach (var unknown in new[] { "upl_unknown", "nonsense", await OtherTransferAsync(tenant) })
        {
            await FinalizeAsync(tenant, id, transfer, bytes, uploadId: unknown).ErrorAsync(404, "upload_not_found");
            await tenant.Http.PutAsync(
                    new Uri($"/v1/workspace-runs/{id}/archive-transfer/{unknown}", UriKind.Relative), new ByteArrayContent(bytes))
                .ErrorAsync(404, "upload_not_found");
        }

        var error = await tenant.Http.PostAsJsonAsync(
            $"/v1/workspace-runs/{id}/archive/finalize", new { sha256 = RunCalls.Digest(bytes), sizeBytes = 1000 })
            .ErrorAsync(400, "invalid_request");
        Assert.Equal("uploadId", error.GetProperty("details").Text("field"));
        var first = await FinalizeAsync(tenant, id, transfer, bytes).JsonAsync();

        // An answer that was lost is given again; anything else is too late.
        Assert.Equal(first.GetRawText(), (await FinalizeAsync(tenant, id, transfer, bytes).JsonAsync()).GetRawText());
        await FinalizeAsync(tenant, id, transfer, RunCalls.Archive()).ErrorAsync(409, "upload_conflict");
        await SendAsync(tenant, transfer, bytes).ErrorAsync(409, "upload_conflict");
        await AnnounceAsync(tenant, id, bytes).ErrorAsync(409, "upload_conflict");
        Assert.Single(tenant.Objects(id));
    }

    [Fact]
    public async Task Transfer_SupersededOrExpired_IsExpired()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var first = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        using var sent = await SendAsync(tenant, first, bytes);
        var second = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        await SendAsync(tenant, first, bytes).ErrorAsync(410, "upload_expired");
        await FinalizeAsync(tenant, id, first, bytes).ErrorAsync(410, "upload_expired");
        using var sentAgain = await SendAsync(tenant, second, bytes);
        await fixture.Database.ExecuteAsync($"UPDATE archive_transfers SET expires_at = now() WHERE id = '{second.Text("id")}'");
        await SendAsync(tenant, second, bytes).ErrorAsync(410, "upload_expired");
        await FinalizeAsync(tenant, id, second, bytes).ErrorAsync(410, "upload_expired");
        Assert.Equal("awaiting_archive", (await tenant.ReadRunAsync(id)).Text("status"));
    }

    [Fact]
    public async Task Transfer_OfACanceledRun_IsAConflict()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var transfer = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        using var canceled = await tenant.PostAsync(id, "cancel");
        await SendAsync(tenant, transfer, bytes).ErrorAsync(409, "upload_conflict");
        await FinalizeAsync(tenant, id, transfer, bytes).ErrorAsync(409, "upload_conflict");
        await AnnounceAsync(tenant, id, bytes).ErrorAsync(409, "upload_conflict");
    }

    [Fact]
    public async Task Transfer_OfARunThatIsCanceledMeanwhile_IsAConflictAndLeavesNothing()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive(4 * 1024 * 1024);
        var transfer = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        var body = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var request = new HttpRequestMessage(HttpMethod.Put, new Uri(transfer.Text("uploadUrl")!))
        {
            Content = new StreamContent(body.Reader.AsStream()) { Headers = { ContentLength = bytes.Length } },
        };
        var sending = tenant.Http.SendAsync(request);
        await body.Writer.WriteAsync(bytes.AsMemory(0, bytes.Length / 2));
        await Eventually.HoldsAsync(
            async () => (await tenant.EventsAsync(id)).Any(e => e.Text("type") == "archive_progress"), "half of it has arrived");
        using var canceled = await tenant.PostAsync(id, "cancel");
        await body.Writer.WriteAsync(bytes.AsMemory(bytes.Length / 2));
        await body.Writer.CompleteAsync();
        await sending.ErrorAsync(409, "upload_conflict");
        Assert.Contains("evidence", Assert.Single(tenant.Objects(id)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Finalize_ManyTimesAtOnce_GivesEachTheSameAnswer()
    {
        var tenant = await fixture.TenantAsync();
        var bytes = RunCalls.Archive();
        for (var round = 0; round < 5; round++)
        {
            var id = await tenant.RunAsync();
            var transfer = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
            using var sent = await SendAsync(tenant, transfer, bytes);
            var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => FinalizeAsync(tenant, id, transfer, bytes)));
            Assert.All(answers, a => Assert.Equal(200, (int)a.StatusCode));
            Assert.Single((await Task.WhenAll(answers.Select(a => a.Content.ReadAsStringAsync()))).Distinct());
            Assert.Single(tenant.Objects(id));
        }
    }

    [Fact]
    public async Task Finalize_AfterItsInstanceDiedHalfWay_CompletesIt()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var transfer = (await AnnounceAsync(tenant, id, bytes).JsonAsync()).GetProperty("transfer");
        using var sent = await SendAsync(tenant, transfer, bytes);
        await fixture.Database.ExecuteAsync($"UPDATE archive_transfers SET status = 'finalized' WHERE id = '{transfer.Text("id")}'");
        using var final = await FinalizeAsync(tenant, id, transfer, bytes);
        Assert.Equal(200, (int)final.StatusCode);
        Assert.Equal("archive_uploaded", (await tenant.ReadRunAsync(id)).Text("status"));
    }

    [Fact]
    public async Task Removal_TakesWhatNothingNeedsAndNothingElse()
    {
        var tenant = await fixture.TenantAsync();
        var bytes = RunCalls.Archive();
        var kept = await tenant.UploadedAsync();
        var staged = await tenant.RunAsync();
        var open = (await AnnounceAsync(tenant, staged, bytes).JsonAsync()).GetProperty("transfer");
        using var sent = await SendAsync(tenant, open, bytes);
        var expired = await tenant.RunAsync();
        var old = (await AnnounceAsync(tenant, expired, bytes).JsonAsync()).GetProperty("transfer");
        using var sentOld = await SendAsync(tenant, old, bytes);
        await fixture.Database.ExecuteAsync($"UPDATE archive_transfers SET expires_at = now() WHERE id = '{old.Text("id")}'");
        var ended = await tenant.UploadedAsync();
        using var canceled = await tenant.PostAsync(ended, "cancel");
        var objects = fixture.Api.Services.GetRequiredService<IObjectStore>();
        var orphan = ObjectKey.RunArchive(tenant.OrgId, kept, "up_orphan");
        using (var content = new MemoryStream(bytes))
        {
            await objects.PutAsync(orphan, content, bytes.Length, default);
        }

        Assert.Equal((2, 1, 1, 2), Counts());
        await using var api = fixture.StartApi(
            ("Api:Objects:Interval", "00:00:00.1"), ("Api:Objects:SpareArchives", "00:00:00"),
            ("Api:WorkspaceRuns:KeepArchives", "00:00:00"));
        await Eventually.HoldsAsync(() => Counts() == (1, 1, 0, 1), "what nothing needs is gone");
        Assert.Contains("evidence", Assert.Single(tenant.Objects(ended)), StringComparison.Ordinal);
        using var final = await FinalizeAsync(tenant, staged, open, bytes);
        Assert.Equal(200, (int)final.StatusCode);

        (int Kept, int Staged, int Expired, int Ended) Counts() =>
            (tenant.Objects(kept).Count, tenant.Objects(staged).Count, tenant.Objects(expired).Count, tenant.Objects(ended).Count);
    }

    private static async Task<string> OtherTransferAsync(Tenant tenant) =>
        (await AnnounceAsync(tenant, await tenant.RunAsync(), RunCalls.Archive()).JsonAsync()).GetProperty("transfer").Text("id")!;

    private static Task<HttpResponseMessage> AnnounceAsync(Tenant tenant, string id, byte[] bytes) =>
        tenant.Http.PostAsJsonAsync(
            $"/v1/workspace-runs/{id}/archive-transfer", new { sha256 = RunCalls.Digest(bytes), sizeBytes = bytes.Length });

    private static Task<HttpResponseMessage> SendAsync(Tenant tenant, JsonElement transfer, byte[] bytes, bool chunked = false)
    {
        var request = new HttpRequestMessage(HttpMethod.Put, new Uri(transfer.Text("uploadUrl")!))
        {
            Content = chunked ? new StreamContent(new MemoryStream(bytes)) : new ByteArrayContent(bytes),
        };
        request.Headers.TransferEncodingChunked = chunked;
        return tenant.Http.SendAsync(request);
    }

    private static Task<HttpResponseMessage> FinalizeAsync(
        Tenant tenant, string id, JsonElement transfer, byte[] bytes, long? size = null, string? uploadId = null) =>
        tenant.Http.PostAsJsonAsync(
            $"/v1/workspace-runs/{id}/archive/finalize",
            new { sha256 = RunCalls.Digest(bytes), sizeBytes = size ?? bytes.Length, uploadId = uploadId ?? transfer.Text("id") });
}
