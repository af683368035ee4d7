using System.Net;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;
using static CrowNest.Worker.Tests.Files.FileNode;

namespace CrowNest.Worker.Tests.Files;

/// <summary>The relay between the API and a sandbox's agent that keeps the protocol.</summary>
public sealed class FileRelayTests(BackingServices backing)
{
    [Theory]
    [InlineData("GET", "", "?path=a%20b%2Bc+d&depth=2")]
    [InlineData("GET", "/stat", "?path=%E2%82%AC%0A%2e%2E%2F")]
    [InlineData("POST", "/mkdir", "")]
    [InlineData("POST", "/move", "?")]
    [InlineData("POST", "/search", "")]
    [InlineData("PUT", "/content", "?path=x&overwrite=true&sha256=00")]
    [InlineData("PUT", "/archive", "?path=x")]
    public async Task Relay_EachRoute_PassesMethodQueryAndBody(string method, string route, string query)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            using var body = new StreamReader(context.Request.Body);
            context.Response.Headers["Set-Cookie"] = "evil=1";
            context.Response.Headers["X-Evil"] = "1";
            context.Response.ContentType = "text/html";
            await context.Response.WriteAsync($"{{\"body\":\"{await body.ReadToEndAsync()}\"}}");
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);

        using var request = new HttpRequestMessage(new HttpMethod(method), Exact(node, id, route + query));
        var hasBody = method is "POST" or "PUT";
        if (hasBody)
        {
            request.Content = new StringContent("the body");
        }

        using var response = await node.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(hasBody ? """{"body":"the body"}""" : """{"body":""}""", await response.Content.ReadAsStringAsync());
        Assert.Equal("application/json", response.Content.Headers.ContentType!.ToString());
        Assert.False(response.Headers.Contains("Set-Cookie") || response.Headers.Contains("X-Evil"));
        Assert.Equal($"{method} /files{route}{query}", Assert.Single(agent.Requests));
    }

    [Fact]
    public async Task Delete_Done_IsNoContent()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context =>
        {
            context.Response.StatusCode = 204;
            return Task.CompletedTask;
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);

        using var response = await node.Http.DeleteAsync(FilesOf(id, "?path=a"));

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(20 * 1024 * 1024 + 7)]
    public async Task Content_AnySize_ArrivesAsItIs(int size)
    {
        await using var node = await StartAsync(backing);
        var content = RandomNumberGenerator.GetBytes(size);
        await using var agent = await FakeAgent.StartAsync(content, "/workspace/a b\n€+%.bin");
        var id = await node.AddSandboxAsync(agent.SocketPath);

        using var response = await node.Http.GetAsync(FilesOf(id, "/content?path=x"), HttpCompletionOption.ResponseHeadersRead);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal($"{size}", response.Headers.GetValues("X-File-Size").Single());
        Assert.Equal("/workspace/a b\n€+%.bin", Uri.UnescapeDataString(response.Headers.GetValues("X-File-Path").Single()));
        Assert.Equal("1760000000000", response.Headers.GetValues("X-File-Modified").Single());
        Assert.Equal("application/octet-stream", response.Content.Headers.ContentType!.ToString());
        Assert.Equal(SHA256.HashData(content), await SHA256.HashDataAsync(await response.Content.ReadAsStreamAsync()));
    }

    [Fact]
    public async Task Content_ModifiedBefore1970_IsAnyOtherFile()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            FakeAgent.DescribeFile(context.Response, 1);
            context.Response.Headers["X-File-Modified"] = "-100000";
            await context.Response.WriteAsync("x");
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);

        using var response = await node.Http.GetAsync(FilesOf(id, "/content?path=x"));

        Assert.Equal("x", await response.Content.ReadAsStringAsync());
        Assert.Equal("-100000", response.Headers.GetValues("X-File-Modified").Single());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Upload_LargeBody_ArrivesAsItIs(bool chunked)
    {
        await using var node = await StartAsync(backing);
        var content = RandomNumberGenerator.GetBytes((48 * 1024 * 1024) + 3);
        long? length = null;
        byte[]? digest = null;
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            length = context.Request.ContentLength;
            digest = await SHA256.HashDataAsync(context.Request.Body);
            await context.Response.WriteAsJsonAsync(new { path = "/workspace/x" });
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);
        using var request = new HttpRequestMessage(HttpMethod.Put, FilesOf(id, "/content?path=x")) { Content = new ByteArrayContent(content) };
        request.Headers.TransferEncodingChunked = chunked;

        using var response = await node.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(chunked ? null : content.Length, length);
        Assert.Equal(SHA256.HashData(content), digest);
    }

    public static TheoryData<int, string> Codes => new()
    {
        { 400, ErrorCodes.InvalidRequest },
        { 400, ErrorCodes.PathOutsideWorkspace },
        { 400, ErrorCodes.PathIsDirectory },
        { 400, ErrorCodes.PathNotDirectory },
        { 400, ErrorCodes.UploadChecksumMismatch },
        { 400, ErrorCodes.ArchiveInvalid },
        { 403, ErrorCodes.Forbidden },
        { 404, ErrorCodes.FileNotFound },
        { 404, ErrorCodes.ParentDirectoryNotFound },
        { 409, ErrorCodes.Conflict },
        { 409, ErrorCodes.FileAlreadyExists },
        { 409, ErrorCodes.DirectoryNotEmpty },
        { 413, ErrorCodes.FileTooLarge },
        { 413, ErrorCodes.ArchiveTooLarge },
        { 429, ErrorCodes.QuotaExceeded },
        { 500, ErrorCodes.RuntimeError },
    };

    [Theory]
    [MemberData(nameof(Codes))]
    public async Task Error_OfTheProtocol_PassesWithTheContractsStatus(int status, string code)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context => FakeAgent.ErrorAsync(context, 418, code, "a\n\u001b[31mb"));
        var id = await node.AddSandboxAsync(agent.SocketPath);

        Assert.Equal((status, code, "a\uFFFD\uFFFD[31mb"), await ErrorAsync(node.Http.GetAsync(FilesOf(id, "/stat?path=x"))));
    }

    [Theory]
    [InlineData(ErrorCodes.Unauthorized)]
    [InlineData(ErrorCodes.SandboxDestroyed)]
    [InlineData(ErrorCodes.NotFound)]
    [InlineData(ErrorCodes.RateLimited)]
    [InlineData("made_up")]
    [InlineData("")]
    public async Task Error_OfAnotherCode_IsARuntimeError(string code)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context => FakeAgent.ErrorAsync(context, 401, code, "secret text"));
        var id = await node.AddSandboxAsync(agent.SocketPath);

        var error = await ErrorAsync(node.Http.GetAsync(FilesOf(id, "/content?path=x")));

        Assert.Equal((500, ErrorCodes.RuntimeError), (error.Status, error.Code));
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Error_BeforeALongBodyIsRead_ReachesTheCaller()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(
            context => FakeAgent.ErrorAsync(context, 409, ErrorCodes.FileAlreadyExists));
        var id = await node.AddSandboxAsync(agent.SocketPath);

        var error = await ErrorAsync(
            node.Http.PutAsync(FilesOf(id, "/content?path=x"), new ByteArrayContent(new byte[40 * 1024 * 1024])));

        Assert.Equal((409, ErrorCodes.FileAlreadyExists), (error.Status, error.Code));
    }

    [Theory]
    [InlineData("GET", "/content?path=x")]
    [InlineData("PUT", "/content?path=x")]
    public async Task Sandbox_NotHere_IsNotFound(string method, string route)
    {
        await using var node = await StartAsync(backing);
        using var request = new HttpRequestMessage(new HttpMethod(method), FilesOf("sbx_unknown", route));
        if (method == "PUT")
        {
            request.Content = new ByteArrayContent(new byte[20 * 1024 * 1024]);
        }

        var error = await ErrorAsync(node.Http.SendAsync(request));

        Assert.Equal((404, ErrorCodes.NotFound), (error.Status, error.Code));
    }

    [Theory]
    [InlineData("GET", "/contents")]
    [InlineData("POST", "/content")]
    [InlineData("GET", "/../commands")]
    [InlineData("GET", "/%2e%2e/commands")]
    [InlineData("PUT", "/stat")]
    [InlineData("GET", "//stat")]
    public async Task Route_NotOfTheProtocol_NeverReachesTheAgent(string method, string route)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync([1]);
        var id = await node.AddSandboxAsync(agent.SocketPath);
        using var request = new HttpRequestMessage(new HttpMethod(method), Exact(node, id, route));

        using var response = await node.Http.SendAsync(request);

        Assert.True(response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed, $"{response.StatusCode}");
        Assert.Empty(agent.Requests);
    }

    [Fact]
    public async Task Secret_Missing_IsUnauthorized()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync([1]);
        var id = await node.AddSandboxAsync(agent.SocketPath);
        using var http = new HttpClient { BaseAddress = node.Http.BaseAddress };

        var error = await ErrorAsync(http.GetAsync(FilesOf(id, "/content?path=x")));

        Assert.Equal((401, ErrorCodes.Unauthorized), (error.Status, error.Code));
        Assert.Empty(agent.Requests);
    }

    [Fact]
    public async Task Upload_CallerBreaksOff_AgentSeesThatItIsNotWhole()
    {
        await using var node = await StartAsync(backing);
        var seen = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            seen.SetResult(await Record.ExceptionAsync(() => context.Request.Body.CopyToAsync(Stream.Null)));
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);
        using var leave = new CancellationTokenSource();
        using var source = new DrippingStream();
        using var request = new HttpRequestMessage(HttpMethod.Put, FilesOf(id, "/content?path=x")) { Content = new StreamContent(source) };
        var call = node.Http.SendAsync(request, leave.Token);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<Exception>(() => call);
        Assert.NotNull(await seen.Task.WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task Download_CallerLeaves_AgentIsLetGo()
    {
        await using var node = await StartAsync(backing);
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            FakeAgent.DescribeFile(context.Response, long.MaxValue);
            try
            {
                while (true)
                {
                    await context.Response.Body.WriteAsync(new byte[65536], context.RequestAborted);
                }
            }
            finally
            {
                over.SetResult();
            }
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);

        using (var response = await node.Http.GetAsync(FilesOf(id, "/content?path=x"), HttpCompletionOption.ResponseHeadersRead))
        {
            await (await response.Content.ReadAsStreamAsync()).ReadExactlyAsync(new byte[1_000_000]);
        }

        await over.Task.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task Download_CallerDoesNotRead_AgentIsNotReadEither()
    {
        await using var node = await StartAsync(backing);
        long sent = 0;
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            FakeAgent.DescribeFile(context.Response, 1L << 40);
            while (true)
            {
                await context.Response.Body.WriteAsync(new byte[65536], context.RequestAborted);
                Interlocked.Add(ref sent, 65536);
            }
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);

        using var response = await node.Http.GetAsync(FilesOf(id, "/content?path=x"), HttpCompletionOption.ResponseHeadersRead);
        var before = -1L;
        await Eventually.HoldsAsync(
            async () =>
            {
                // Longer than the stall bound: it is not the agent that lets us wait.
                await Task.Delay(Stall * 2);
                return before == (before = Interlocked.Read(ref sent));
            },
            "nothing more is sent", TimeSpan.FromSeconds(30));

        // Kernel and server buffers.
        Assert.InRange(before, 1, 32 * 1024 * 1024);
        await (await response.Content.ReadAsStreamAsync()).ReadExactlyAsync(new byte[before]);
        await Eventually.HoldsAsync(() => Interlocked.Read(ref sent) > before, "it goes on");
    }

    private static Uri Exact(FileNode node, string sandboxId, string rest) => new(
        node.Http.BaseAddress!.OriginalString + FilesOf(sandboxId, rest),
        new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });

    /// <summary>Gives some bytes and then none for a long time.</summary>
    private sealed class DrippingStream : MemoryStream
    {
        private int _reads;

        public override bool CanSeek => false;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_reads++ > 3)
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            Encoding.ASCII.GetBytes("some bytes", buffer.Span);
            return 10;
        }

        public override Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken) =>
            CopyAsync(destination, cancellationToken);

        private async Task CopyAsync(Stream destination, CancellationToken cancellationToken)
        {
            var buffer = new byte[10];
            while (true)
            {
                await destination.WriteAsync(buffer.AsMemory(0, await ReadAsync(buffer, cancellationToken)), cancellationToken);
                await destination.FlushAsync(cancellationToken);
            }
        }
    }
}
