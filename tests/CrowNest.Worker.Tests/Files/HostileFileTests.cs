using System.Text;
using CrowNest.Contracts;
using CrowNest.Testing;
using CrowNest.Worker.Tests.Agents;
using Microsoft.AspNetCore.Http;
using Xunit;
using static CrowNest.Worker.Tests.Files.FileNode;

namespace CrowNest.Worker.Tests.Files;

/// <summary>A sandbox that has taken its agent over: nothing that it answers gets past the relay, and nothing is held for ever.</summary>
public sealed class HostileFileTests(BackingServices backing)
{
    private const string File = "X-File-Size: 3\r\nX-File-Path: %2Fworkspace%2Fa\r\nX-File-Modified: 1\r\n";

    public static TheoryData<string, string> BadAnswers => new()
    {
        { "no HTTP", "hello" },
        { "no headers of a file", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" },
        { "partial content", $"HTTP/1.1 206 Partial\r\n{File}Content-Length: 3\r\n\r\nabc" },
        { "created", $"HTTP/1.1 201 Created\r\n{File}Content-Length: 3\r\n\r\nabc" },
        { "redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n" },
        { "upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" },
        { "outside", "HTTP/1.1 200 OK\r\n" + File.Replace("%2Fworkspace%2Fa", "%2Fetc%2Fpasswd", StringComparison.Ordinal) + "\r\n" },
        { "relative", "HTTP/1.1 200 OK\r\n" + File.Replace("%2Fworkspace%2Fa", "a", StringComparison.Ordinal) + "\r\n" },
        { "dots", "HTTP/1.1 200 OK\r\n" + File.Replace("%2Fa", "%2F..%2Fa", StringComparison.Ordinal) + "\r\n" },
        { "negative size", "HTTP/1.1 200 OK\r\n" + File.Replace("Size: 3", "Size: -3", StringComparison.Ordinal) + "\r\n" },
        { "no size", "HTTP/1.1 200 OK\r\n" + File.Replace("Size: 3", "Size: x", StringComparison.Ordinal) + "\r\n" },
        { "two sizes", "HTTP/1.1 200 OK\r\nX-File-Size: 4\r\n" + File + "\r\n" },
        { "larger than asked for", "HTTP/1.1 200 OK\r\n" + File.Replace("Size: 3", "Size: 101", StringComparison.Ordinal) + "\r\n" },
        { "huge size", "HTTP/1.1 200 OK\r\n" + File.Replace("Size: 3", "Size: 99999999999999999999", StringComparison.Ordinal) + "\r\n" },
        { "no time", "HTTP/1.1 200 OK\r\n" + File.Replace("Modified: 1", "Modified: now", StringComparison.Ordinal) + "\r\n" },
        { "long header", $"HTTP/1.1 200 OK\r\nX-A: {new string('x', 100_000)}\r\n\r\n" },
        { "error without a body", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" },
        { "error of another kind", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n<p/>" },
        { "error that is null", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnull" },
        { "huge error", $"HTTP/1.1 404 Not Found\r\nContent-Length: 2000000\r\n\r\n{new string(' ', 2_000_000)}" },
        { "error that breaks off", "HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{" },
        { "nothing", "" },
    };

    [Theory]
    [MemberData(nameof(BadAnswers))]
    public async Task Answer_NotOfTheProtocol_IsARuntimeError(string what, string answer)
    {
        await using var node = await StartAsync(backing);
        using var agent = new HostileAgent(Encoding.ASCII.GetBytes(answer));
        var id = await node.AddSandboxAsync(agent.SocketPath);

        var error = await ErrorAsync(node.Http.GetAsync(FilesOf(id, "/content?path=a&maxBytes=100")));

        Assert.True((500, ErrorCodes.RuntimeError) == (error.Status, error.Code), $"{what}: {error}");
        Assert.True(node.Live.Suspects.TryRead(out var suspect) && suspect == id || what.StartsWith("error", StringComparison.Ordinal), what);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX-A: ")]
    [InlineData("HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{")]
    [InlineData("")]
    public async Task Answer_ThatNeverComes_IsNotWaitedForForEver(string begin)
    {
        await using var node = await StartAsync(backing);
        using var agent = new HostileAgent(Encoding.ASCII.GetBytes(begin), closes: false);
        var id = await node.AddSandboxAsync(agent.SocketPath);

        var error = await ErrorAsync(node.Http.GetAsync(FilesOf(id, "/content?path=a")).WaitAsync(TimeSpan.FromSeconds(20)));

        Assert.Equal((500, ErrorCodes.RuntimeError), (error.Status, error.Code));
    }

    public static TheoryData<string, string, bool> BadBodies => new()
    {
        { "breaks off", "Content-Length: 3\r\n\r\nab", true },
        { "stalls", "Content-Length: 3\r\n\r\nab", false },
        { "no end of chunks", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true },
        { "chunk that is none", "Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n", true },
        { "longer than it said", "Content-Length: 4\r\n\r\nabcd", true },
        { "longer, in chunks", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", true },
        { "endless", $"Transfer-Encoding: chunked\r\n\r\nFFFFFF\r\n{new string('x', 1_000_000)}", false },
    };

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task Content_ThatIsNotWhatItSaid_IsBrokenOff(string what, string answer, bool closes)
    {
        await using var node = await StartAsync(backing);
        using var agent = new HostileAgent(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{File}{answer}"), closes);
        var id = await node.AddSandboxAsync(agent.SocketPath);

        var failure = await Record.ExceptionAsync(
            () => node.Http.GetByteArrayAsync(FilesOf(id, "/content?path=a")).WaitAsync(TimeSpan.FromSeconds(20)));

        Assert.True(failure is HttpRequestException { StatusCode: null }, $"{what}: {failure}");
    }

    [Fact]
    public async Task Content_ThatShrank_EndsSooner()
    {
        await using var node = await StartAsync(backing);
        using var agent = new HostileAgent(
            Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{File}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"));
        var id = await node.AddSandboxAsync(agent.SocketPath);

        Assert.Equal("ab", await node.Http.GetStringAsync(FilesOf(id, "/content?path=a")));
    }

    [Fact]
    public async Task Json_DrippedSlowly_IsBrokenOff()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            using var drips = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
            while (await drips.WaitForNextTickAsync(context.RequestAborted))
            {
                await context.Response.WriteAsync(" ");
                await context.Response.Body.FlushAsync();
            }
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);

        await Assert.ThrowsAsync<HttpRequestException>(
            () => node.Http.GetStringAsync(FilesOf(id, "?path=a")).WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task Json_Endless_IsCutOff()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            while (true)
            {
                await context.Response.Body.WriteAsync(new byte[1024 * 1024], context.RequestAborted);
            }
        });
        var id = await node.AddSandboxAsync(agent.SocketPath);

        await Assert.ThrowsAsync<HttpRequestException>(() => node.Http.GetByteArrayAsync(FilesOf(id, "?path=a")));
    }

    [Fact]
    public async Task Upload_AgentTakesNothing_IsARuntimeError()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        var id = await node.AddSandboxAsync(agent.SocketPath);

        var error = await ErrorAsync(node.Http
            .PutAsync(FilesOf(id, "/content?path=a"), new ByteArrayContent(new byte[40 * 1024 * 1024])).WaitAsync(TimeSpan.FromSeconds(40)));

        Assert.Equal((500, ErrorCodes.RuntimeError), (error.Status, error.Code));
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    public async Task Sandbox_EndsWhileItIsAsked_IsDestroyed(string method)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        var id = await node.AddSandboxAsync(agent.SocketPath);
        using var request = new HttpRequestMessage(new HttpMethod(method), FilesOf(id, "/content?path=a"));
        if (method == "PUT")
        {
            request.Content = new ByteArrayContent(new byte[10_000]);
        }

        var call = node.Http.SendAsync(request);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");
        await node.EndSandboxAsync(id);

        var error = await ErrorAsync(call);
        Assert.Equal((410, ErrorCodes.SandboxDestroyed), (error.Status, error.Code));
    }
}
