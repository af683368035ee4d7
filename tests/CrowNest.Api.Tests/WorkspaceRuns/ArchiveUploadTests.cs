using System.Net.Sockets;
using System.Text;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>The direct upload (docs/reference/api.md 10.4).</summary>
public sealed class ArchiveUploadTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private const int Ceiling = 8 * 1024 * 1024;

    [Theory]
    [InlineData(false, 1)]
    [InlineData(false, 100_000)]
    [InlineData(true, 100_000)]
    [InlineData(true, Ceiling)]
    public async Task Upload_WholeAndRight_IsTheArchive(bool chunked, int size)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive(size);
        using var response = await tenant.UploadAsync(id, bytes, RunCalls.Digest(bytes).ToUpperInvariant(), chunked: chunked);
        Assert.Equal(200, (int)response.StatusCode);
        var body = await response.JsonAsync();
        var archive = body.GetProperty("archive");
        Assert.Equal((RunCalls.Digest(bytes), (long)size), (archive.Text("sha256"), archive.Number("sizeBytes")));
        var run = body.GetProperty("workspaceRun");
        Assert.Equal(("archive_uploaded", run.Text("uploadedAt")), (run.Text("status"), archive.Text("uploadedAt")));
        Assert.Equal(archive.GetRawText(), run.GetProperty("archive").GetRawText());
        Assert.Equal(bytes, await File.ReadAllBytesAsync(Assert.Single(tenant.Objects(id))));
        var story = await tenant.StoryAsync(id);
        Assert.StartsWith("awaiting_archive ", story, StringComparison.Ordinal);
        Assert.EndsWith($" progress:{size}/{size} archive_uploaded", story, StringComparison.Ordinal);
        Assert.InRange(story.Split(' ').Length, 3, 7);
    }

    [Theory]
    [InlineData(null, "10", "x-crownest-archive-sha256")]
    [InlineData("abc", "10", "x-crownest-archive-sha256")]
    [InlineData("zz", "10", "x-crownest-archive-sha256")]
    [InlineData("ok", null, "x-crownest-archive-size")]
    [InlineData("ok", "ten", "x-crownest-archive-size")]
    [InlineData("ok", "-1", "x-crownest-archive-size")]
    [InlineData("ok", "0", "x-crownest-archive-size")]
    [InlineData("ok", "1e3", "x-crownest-archive-size")]
    [InlineData("ok", "99999999999999999999", "x-crownest-archive-size")]
    public async Task Upload_WrongHeader_IsNamed(string? sha256, string? size, string field)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var digest = sha256 switch { "ok" => new string('a', 64), "zz" => new string('z', 64), _ => sha256 ?? "" };
        var error = await tenant.UploadAsync(id, new byte[10], digest, size ?? "").ErrorAsync(400, "invalid_request");
        Assert.Equal(field, error.GetProperty("details").Text("field"));
        await AssertUntouchedAsync(tenant, id);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Upload_NotWhatWasAnnounced_LeavesNothing(bool chunked)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive(70_000);
        await tenant.UploadAsync(id, bytes, size: "69999", chunked: chunked).ErrorAsync(400, "upload_size_mismatch");
        await tenant.UploadAsync(id, bytes, size: "70001", chunked: chunked).ErrorAsync(400, "upload_size_mismatch");
        await tenant.UploadAsync(id, [], new string('a', 64), "1", chunked).ErrorAsync(400, "upload_size_mismatch");
        var error = await tenant.UploadAsync(id, bytes, new string('a', 64), chunked: chunked).ErrorAsync(400, "upload_checksum_mismatch");
        Assert.Equal(RunCalls.Digest(bytes), error.GetProperty("details").Text("receivedSha256"));
        await AssertUntouchedAsync(tenant, id);
        using var right = await tenant.UploadAsync(id, bytes, chunked: chunked);
        Assert.Equal(200, (int)right.StatusCode);
    }

    [Fact]
    public async Task Upload_AboveTheCeiling_IsTooLarge()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var error = await tenant.UploadAsync(id, new byte[10], size: $"{Ceiling + 1}").ErrorAsync(413, "file_too_large");
        Assert.Equal(Ceiling, error.GetProperty("details").Number("max"));
        await tenant.UploadAsync(id, new byte[Ceiling + 1], size: "10").ErrorAsync(413, "file_too_large");
        await AssertUntouchedAsync(tenant, id);
    }

    [Fact]
    public async Task Upload_Again_IsTheSameOrAConflict()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var first = await tenant.UploadAsync(id, bytes).JsonAsync();
        var again = await tenant.UploadAsync(id, bytes).JsonAsync();
        Assert.Equal(first.GetRawText(), again.GetRawText());
        var error = await tenant.UploadAsync(id, RunCalls.Archive()).ErrorAsync(409, "upload_conflict");
        Assert.Equal("archive_uploaded", error.GetProperty("details").Text("status"));
        Assert.Single(tenant.Objects(id));

        var canceled = await tenant.RunAsync();
        using var _ = await tenant.PostAsync(canceled, "cancel");
        await tenant.UploadAsync(canceled, bytes).ErrorAsync(409, "upload_conflict");
        Assert.DoesNotContain(tenant.Objects(canceled), o => o.Contains("archives", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Upload_ManyAtOnce_OneIsTheArchive()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var archives = Enumerable.Range(0, 6).Select(_ => RunCalls.Archive(200_000)).ToList();
        var responses = await Task.WhenAll(archives.Select(a => tenant.UploadAsync(id, a, chunked: true)));
        var taken = Assert.Single(archives.Index(), a => responses[a.Index].IsSuccessStatusCode).Item;
        Assert.All(responses.Where(r => !r.IsSuccessStatusCode), r => Assert.Equal(409, (int)r.StatusCode));
        Assert.Equal(RunCalls.Digest(taken), (await tenant.ReadRunAsync(id)).GetProperty("archive").Text("sha256"));
        Assert.Equal(taken, await File.ReadAllBytesAsync(Assert.Single(tenant.Objects(id))));
        Assert.Single((await tenant.StoryAsync(id)).Split(' '), e => e == "archive_uploaded");
        Assert.Equal(0, tenant.UnfinishedObjects());
    }

    [Fact]
    public async Task Upload_UnderAKey_IsComparedByItsHeaders()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var first = await tenant.UploadAsync(id, bytes, key: "k").JsonAsync();
        using var replay = await tenant.UploadAsync(id, bytes, RunCalls.Digest(bytes).ToUpperInvariant(), key: "k");
        Assert.True(replay.Headers.Contains("Idempotency-Replayed"));
        Assert.Equal(first.GetRawText(), (await replay.JsonAsync()).GetRawText());
        await tenant.UploadAsync(id, RunCalls.Archive(), key: "k").ErrorAsync(409, "idempotency_key_reused");

        // A refusal frees the key.
        var other = await tenant.RunAsync();
        await tenant.UploadAsync(other, bytes, size: "1001", key: "k").ErrorAsync(400, "upload_size_mismatch");
        using var corrected = await tenant.UploadAsync(other, bytes, key: "k");
        Assert.Equal(200, (int)corrected.StatusCode);
    }

    [Theory]
    [InlineData("Content-Length: 1000\r\n\r\n", 400)]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n200\r\n", 512)]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n3e8\r\n", 400)]
    public async Task Upload_ClientStopsInTheMiddle_LeavesNothing(string framing, int sent)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        using (var client = await ConnectAsync(tenant, id, bytes, framing))
        {
            await client.GetStream().WriteAsync(bytes.AsMemory(0, sent));
            await client.GetStream().FlushAsync();
            await Eventually.HoldsAsync(() => tenant.UnfinishedObjects() > 0, "the upload has begun");
        }

        await Eventually.HoldsAsync(() => tenant.UnfinishedObjects() == 0, "nothing is left of the upload");
        await AssertUntouchedAsync(tenant, id);
        using var whole = await tenant.UploadAsync(id, bytes);
        Assert.Equal(200, (int)whole.StatusCode);
    }

    [Fact]
    public async Task Upload_CanceledMeanwhile_IsAConflictThatLeavesNothing()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        using var client = await ConnectAsync(tenant, id, bytes, "Content-Length: 1000\r\n\r\n");
        await client.GetStream().WriteAsync(bytes.AsMemory(0, 500));
        await Eventually.HoldsAsync(() => tenant.UnfinishedObjects() > 0, "the upload has begun");
        using var canceled = await tenant.PostAsync(id, "cancel");
        await client.GetStream().WriteAsync(bytes.AsMemory(500));
        using var reader = new StreamReader(client.GetStream());
        Assert.StartsWith("HTTP/1.1 409", await reader.ReadLineAsync(), StringComparison.Ordinal);
        Assert.Contains("evidence", Assert.Single(tenant.Objects(id)), StringComparison.Ordinal);
        Assert.Equal("awaiting_archive canceled terminal", await tenant.StoryAsync(id));
    }

    [Fact]
    public async Task Upload_ChunksThatAreNone_AreRefused()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        using var client = await ConnectAsync(tenant, id, RunCalls.Archive(), "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n");
        using var reader = new StreamReader(client.GetStream());
        Assert.StartsWith("HTTP/1.1 400", await reader.ReadLineAsync(), StringComparison.Ordinal);
        await AssertUntouchedAsync(tenant, id);
    }

    [Fact]
    public async Task Upload_OneByteTooMany_IsRefusedBeforeTheRest()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        // The client never ends its body: only a server that counts can answer.
        using var client = await ConnectAsync(tenant, id, RunCalls.Archive(), "Transfer-Encoding: chunked\r\n\r\n");
        var piece = Encoding.ASCII.GetBytes($"1000\r\n{new string('x', 4096)}\r\n");
        await client.GetStream().WriteAsync(piece);
        using var reader = new StreamReader(client.GetStream());
        Assert.StartsWith("HTTP/1.1 400", await reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(10)), StringComparison.Ordinal);
        await AssertUntouchedAsync(tenant, id);
    }

    [Fact]
    public async Task Upload_StandingStill_IsBrokenOff()
    {
        await using var api = fixture.StartApi(("Api:TransferStallLimit", "00:00:00.3"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.RunAsync();
        using var client = await ConnectAsync(tenant, id, RunCalls.Archive(), "Content-Length: 1000\r\n\r\nabc");
        var buffer = new byte[100];
        var read = 1;
        try
        {
            read = await client.GetStream().ReadAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        }
        catch (IOException)
        {
            read = 0;
        }

        Assert.Equal(0, read);
        await Eventually.HoldsAsync(() => tenant.UnfinishedObjects() == 0, "nothing is left of the upload");
        await AssertUntouchedAsync(tenant, id);
    }

    [Fact]
    public async Task Upload_StorageAway_CanBeRepeated()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var bytes = RunCalls.Archive();
        var away = fixture.Database.ObjectsDirectory + "-away";
        Directory.Move(fixture.Database.ObjectsDirectory, away);
        try
        {
            await tenant.UploadAsync(id, bytes).ErrorAsync(500, "runtime_error");
        }
        finally
        {
            Directory.Move(away, fixture.Database.ObjectsDirectory);
        }

        await AssertUntouchedAsync(tenant, id);
        using var again = await tenant.UploadAsync(id, bytes);
        Assert.Equal(200, (int)again.StatusCode);
    }

    private static async Task AssertUntouchedAsync(Tenant tenant, string id)
    {
        Assert.Equal("awaiting_archive", await tenant.StoryAsync(id));
        Assert.Empty(tenant.Objects(id));
        Assert.Equal(0, tenant.UnfinishedObjects());
    }

    /// <summary>A request by hand, up to what <paramref name="framing"/> says of the body.</summary>
    private static async Task<TcpClient> ConnectAsync(Tenant tenant, string id, byte[] announced, string framing)
    {
        var address = tenant.Http.BaseAddress!;
        var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port);
        var head = $"PUT /v1/workspace-runs/{id}/archive HTTP/1.1\r\nHost: {address.Authority}\r\nAuthorization: Bearer {tenant.Secret}\r\n"
            + $"x-crownest-archive-sha256: {RunCalls.Digest(announced)}\r\nx-crownest-archive-size: {announced.Length}\r\n{framing}";
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head));
        return client;
    }
}
