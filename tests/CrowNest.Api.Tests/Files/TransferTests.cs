using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Files;

/// <summary>Bodies of any size, into a sandbox and out of it.</summary>
public sealed class TransferTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private const int Large = 40 * 1024 * 1024;

    [Fact]
    public async Task UploadAndDownload_OfALargeFile_KeepEveryByte()
    {
        var box = await FileBox.CreateAsync(fixture);
        var bytes = RandomNumberGenerator.GetBytes(Large);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        var content = new ByteArrayContent(bytes);
        var uploaded = await box.SendAsync($"/upload?path=a%2Fbig.bin&createParents=true&sizeBytes={Large}&sha256={sha256.ToUpperInvariant()}", content).JsonAsync();
        Assert.Equal((sha256, Large), (uploaded.Text("sha256"), uploaded.GetProperty("file").Number("sizeBytes")));
        Assert.Equal(Large, await box.CountedAsync("file_bytes_written"));

        using var download = await box.GetAsync("/download?path=a%2Fbig.bin");
        Assert.Equal((200, Large), ((int)download.StatusCode, download.Content.Headers.ContentLength));
        Assert.Equal("application/octet-stream", download.Content.Headers.ContentType!.ToString());
        Assert.Equal("attachment; filename=\"big.bin\"", download.Content.Headers.ContentDisposition!.ToString());
        Assert.Equal("nosniff", download.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("sandbox; default-src 'none'", download.Headers.GetValues("Content-Security-Policy").Single());
        Assert.Equal(sha256, Convert.ToHexStringLower(await SHA256.HashDataAsync(await download.Content.ReadAsStreamAsync())));
    }

    [Theory]
    [InlineData(4, 200, null)]
    [InlineData(5, 400, "upload_size_mismatch")]
    [InlineData(3, 400, "upload_size_mismatch")]
    [InlineData(11, 413, "file_too_large")]
    public async Task Upload_Chunked_IsHeldAgainstWhatWasAnnounced(int length, int status, string? code)
    {
        await using var api = fixture.StartApi(("Api:Files:MaxUploadBytes", "10"));
        var box = await FileBox.CreateAsync(fixture);
        using var client = api.Client(box.Tenant.Secret);
        var expected = code == "file_too_large" ? "" : "&sizeBytes=4";
        var request = new HttpRequestMessage(HttpMethod.Put, $"{box.Root}/upload?path=f{expected}") { Content = new ByteArrayContent(new byte[length]) };
        request.Headers.TransferEncodingChunked = true;
        if (code is null)
        {
            using var response = await client.SendAsync(request);
            Assert.Equal(status, (int)response.StatusCode);
        }
        else
        {
            await client.SendAsync(request).ErrorAsync(status, code);
            // The node hears of the end after the caller.
            await Eventually.HoldsAsync(() => Directory.GetFileSystemEntries(box.OnDisk("/workspace")).Length == 0, "nothing is left of it");
        }
    }

    [Fact]
    public async Task Upload_AboveTheCeiling_IsRefusedByItsLengthAlone()
    {
        await using var api = fixture.StartApi(("Api:Files:MaxUploadBytes", "10"));
        var box = await FileBox.CreateAsync(fixture);
        using var client = api.Client(box.Tenant.Secret);
        var error = await client.PutAsync(new Uri($"{box.Root}/upload?path=f", UriKind.Relative), new ByteArrayContent(new byte[11])).ErrorAsync(413, "file_too_large");
        Assert.Equal(10, error.GetProperty("details").Number("max"));
        await client.PutAsync(new Uri($"{box.Root}/archive", UriKind.Relative), new ByteArrayContent(new byte[11])).ErrorAsync(413, "file_too_large");
    }

    [Fact]
    public async Task Upload_WhoseClientBreaksOff_LeavesTheOldFile()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "old");
        using var leaving = new CancellationTokenSource();
        var request = new HttpRequestMessage(HttpMethod.Put, $"{box.Root}/upload?path=f") { Content = new StreamContent(new LeavingStream(leaving)) };
        await Assert.ThrowsAnyAsync<Exception>(() => box.Http.SendAsync(request, leaving.Token));
        await Eventually.HoldsAsync(
            () => Directory.GetFiles(box.OnDisk("/workspace")).Length == 1 && File.ReadAllText(box.OnDisk("/workspace/f")) == "old", "the old file alone");
    }

    [Fact]
    public async Task Upload_WhoseClientStopsSending_IsBrokenOffAndLeavesNothing()
    {
        await using var api = fixture.StartApi(("Api:TransferStallLimit", "00:00:00.3"));
        var box = await FileBox.CreateAsync(fixture);
        using var http = api.Client(box.Tenant.Secret);
        // By hand: HttpClient does not look at the connection while its content gives nothing.
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, http.BaseAddress!.Port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"PUT {box.Root}/upload?path=f HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {box.Tenant.Secret}\r\nContent-Length: 1000\r\n\r\nabc"));
        Assert.Equal(0, await ReadToTheEndAsync(client).WaitAsync(TimeSpan.FromSeconds(10)));
        await Eventually.HoldsAsync(() => Directory.GetFileSystemEntries(box.OnDisk("/workspace")).Length == 0, "nothing is left of it");
    }

    [Fact]
    public async Task Upload_ThroughALink_NeedsNoCredentialAndTakesOnlyWhatWasAsked()
    {
        var box = await FileBox.CreateAsync(fixture);
        var link = await box.PostAsync("/upload-url", new { path = "in/data bin", sizeBytes = 3, createParents = true, expiresInSeconds = 60 }).JsonAsync();
        Assert.Equal(("PUT", 3L, "application/octet-stream"),
            (link.Text("method"), link.Number("maxSizeBytes"), link.GetProperty("headers").Text("content-type")));
        Assert.InRange(link.Time("expiresAt"), DateTimeOffset.UtcNow.AddSeconds(50), DateTimeOffset.UtcNow.AddSeconds(61));
        using var outside = fixture.Api.Client(bearer: null);
        var url = new Uri(link.Text("url")!);
        await outside.PutAsync(url, new StringContent("four")).ErrorAsync(400, "upload_size_mismatch");
        var uploaded = await outside.PutAsync(url, new StringContent("abc")).JsonAsync();
        Assert.Equal("/workspace/in/data bin", uploaded.GetProperty("file").Text("path"));
        foreach (var (part, changed) in new[] { ("data%20bin", "other"), ("sizeBytes=3", "sizeBytes=4"), ("createParents=true", "createParents=false"), ("&kid=", "&overwrite=false&kid=") })
        {
            Assert.Contains(part, link.Text("url"), StringComparison.Ordinal);
            await outside.PutAsync(link.Text("url")!.Replace(part, changed, StringComparison.Ordinal), new StringContent("abc")).ErrorAsync(403, "forbidden");
        }

        await outside.GetAsync(link.Text("url")!.Replace("/upload?", "/download?", StringComparison.Ordinal)).ErrorAsync(403, "forbidden");
        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{box.Id}", UriKind.Relative));
        await outside.PutAsync(url, new StringContent("abc")).ErrorAsync(410, "sandbox_destroyed");
    }

    [Fact]
    public async Task Download_ThroughALink_NeedsNoCredentialAndFollowsTheFile()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("a b", "x");
        var link = await box.PostAsync("/download-url", new { path = "a b" }).JsonAsync();
        Assert.Equal(("GET", "api_key"), (link.Text("method"), link.Text("authMode")));
        using var outside = fixture.Api.Client(bearer: null);
        Assert.Equal("x", await outside.GetStringAsync(link.Text("url")));
        await outside.GetAsync(link.Text("url")!.Replace("a%20b", "c", StringComparison.Ordinal)).ErrorAsync(403, "forbidden");
        await outside.GetAsync(new Uri($"{box.Root}/download?path=a+b", UriKind.Relative)).ErrorAsync(401, "unauthorized");
        await box.DeleteAsync("?path=a+b");
        await outside.GetAsync(link.Text("url")).ErrorAsync(404, "file_not_found");
        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{box.Id}", UriKind.Relative));
        await outside.GetAsync(link.Text("url")).ErrorAsync(410, "sandbox_destroyed");
    }

    [Fact]
    public async Task Download_ThatTheNodeBreaksOff_IsNotTakenForAWholeFile()
    {
        var box = await FileBox.CreateAsync(fixture);
        fixture.Worker.Files.Instead = async context =>
        {
            context.Response.Headers["X-File-Size"] = "1000000";
            await context.Response.Body.WriteAsync(new byte[400_000]);
            await context.Response.Body.FlushAsync();
            context.Abort();
            return true;
        };
        try
        {
            using var response = await box.GetAsync("/download?path=f");
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
            fixture.Worker.Files.Instead = async context =>
            {
                // The file became shorter while it was read.
                context.Response.Headers["X-File-Size"] = "1000000";
                await context.Response.Body.WriteAsync(new byte[400_000]);
                return true;
            };
            using var shorter = await box.GetAsync("/download?path=f");
            await Assert.ThrowsAnyAsync<Exception>(() => shorter.Content.ReadAsByteArrayAsync());
        }
        finally
        {
            fixture.Worker.Files.Instead = null;
        }
    }

    [Fact]
    public async Task Download_WhoseClientStopsReading_LetsTheSandboxGo()
    {
        await using var api = fixture.StartApi(("Api:TransferStallLimit", "00:00:01"));
        var box = await FileBox.CreateAsync(fixture);
        var released = new TaskCompletionSource();
        fixture.Worker.Files.Instead = async context =>
        {
            context.RequestAborted.Register(() => released.TrySetResult());
            try
            {
                while (!context.RequestAborted.IsCancellationRequested)
                {
                    await context.Response.Body.WriteAsync(new byte[64 * 1024], context.RequestAborted);
                }
            }
            catch (OperationCanceledException)
            {
                // As wanted.
            }

            return true;
        };
        try
        {
            using var client = api.Client(box.Tenant.Secret);
            using var response = await client.GetAsync(new Uri($"{box.Root}/download?path=f", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);
            await released.Task.WaitAsync(TimeSpan.FromSeconds(20));
        }
        finally
        {
            fixture.Worker.Files.Instead = null;
        }
    }

    [Fact]
    public async Task Archive_OutAndIn_CarriesATree()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.PutAsync(new { path = "src/a/b.txt", content = "b", createParents = true });
        await box.PutAsync(new { path = "src/ü", content = "u" });
        using var archive = await box.GetAsync("/archive?path=src");
        Assert.Equal("application/gzip", archive.Content.Headers.ContentType!.ToString());
        Assert.Equal("attachment; filename=\"src.tar.gz\"", archive.Content.Headers.ContentDisposition!.ToString());
        var bytes = await archive.Content.ReadAsByteArrayAsync();
        await box.PostAsync("/mkdir", new { path = "copy" });
        var extracted = (await box.SendAsync("/archive?path=copy", new ByteArrayContent(bytes)).JsonAsync()).GetProperty("archive");
        Assert.Equal((3L, 2L), (extracted.Number("entries"), extracted.Number("sizeBytes")));
        Assert.Equal("b", (await box.GetAsync("/read?path=copy/a/b.txt").JsonAsync()).Text("content"));
        Assert.Equal("u", (await box.GetAsync("/read?path=copy/%C3%BC").JsonAsync()).Text("content"));
    }

    [Fact]
    public async Task Archive_ThatIsHostileOrTooLarge_IsRefusedWithItsReason()
    {
        var box = await FileBox.CreateAsync(fixture);
        var hostile = await box.SendAsync("/archive", new ByteArrayContent(await PackAsync("../evil"))).ErrorAsync(400, "invalid_request");
        Assert.Equal("archive_invalid", hostile.GetProperty("details").Text("reason"));
        await using var api = fixture.StartApi(("Api:Files:MaxArchiveBytes", "5"));
        using var client = api.Client(box.Tenant.Secret);
        var large = await client.PutAsync(new Uri($"{box.Root}/archive", UriKind.Relative), new ByteArrayContent(await PackAsync("fine"))).ErrorAsync(413, "file_too_large");
        Assert.Equal("archive_too_large", large.GetProperty("details").Text("reason"));

        static async Task<byte[]> PackAsync(string name)
        {
            using var packed = new MemoryStream();
            await using (var zip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            await using (var tar = new TarWriter(zip))
            {
                await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream("123456"u8.ToArray()) });
            }

            return packed.ToArray();
        }
    }

    /// <summary>How much the server says before it closes or breaks the connection.</summary>
    private static async Task<int> ReadToTheEndAsync(TcpClient client)
    {
        try
        {
            return await client.GetStream().ReadAsync(new byte[100]);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    /// <summary>Gives some bytes, and then has its reader leave.</summary>
    private sealed class LeavingStream(CancellationTokenSource leaving) : MemoryStream(new byte[1_000_000])
    {
        private int _reads;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (++_reads == 5)
            {
                await leaving.CancelAsync();
            }

            return await base.ReadAsync(buffer, cancellationToken);
        }
    }
}
