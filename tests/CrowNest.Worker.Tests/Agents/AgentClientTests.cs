using System.Text;
using CrowNest.Worker.Agents;
using Xunit;

namespace CrowNest.Worker.Tests.Agents;

/// <summary>What an agent answers is a sandbox's word.</summary>
public sealed class AgentClientTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Connect_LinkInPlaceOfTheSocket_IsRefused()
    {
        using var victim = new HostileAgent(HostileAgent.Http("200 OK", """{"version":"victim","activeCommands":0}"""));
        var link = victim.Beside("link.sock");
        File.CreateSymbolicLink(link, victim.SocketPath);
        using var direct = new AgentClient(victim.SocketPath);
        using var linked = new AgentClient(link);

        Assert.Equal("victim", (await direct.GetHealthAsync(None)).Version);
        await Assert.ThrowsAsync<AgentUnavailableException>(() => linked.GetHealthAsync(None));
        await Assert.ThrowsAsync<AgentUnavailableException>(() => linked.OpenOutputAsync("cmd_1", 0, None));
    }

    [Fact]
    public async Task Connect_FileFolderOrNothing_IsRefused()
    {
        using var agent = new HostileAgent([]);
        await File.WriteAllTextAsync(agent.Beside("file"), "");
        Directory.CreateDirectory(agent.Beside("folder"));

        foreach (var name in new[] { "file", "folder", "nothing" })
        {
            using var client = new AgentClient(agent.Beside(name));
            await Assert.ThrowsAsync<AgentUnavailableException>(() => client.GetHealthAsync(None));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{}")]
    [InlineData("HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nhtml")]
    public async Task Answer_NotTheProtocol_IsAnUnavailableAgent(string answer)
    {
        using var agent = new HostileAgent(Encoding.ASCII.GetBytes(answer));
        using var client = new AgentClient(agent.SocketPath);

        await Assert.ThrowsAsync<AgentUnavailableException>(() => client.GetHealthAsync(None));
    }

    [Fact]
    public async Task Answer_Endless_IsCutOff()
    {
        using var agent = new HostileAgent(
            [.. "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n"u8, .. new byte[6_000_000]], closes: false);
        using var client = new AgentClient(agent.SocketPath);

        await Assert.ThrowsAsync<AgentUnavailableException>(() => client.GetHealthAsync(None));
    }

    [Fact]
    public async Task Answer_Never_TimesOut()
    {
        using var agent = new HostileAgent([], closes: false);
        using var client = new AgentClient(agent.SocketPath) { AnswerTimeout = TimeSpan.FromMilliseconds(200) };

        await Assert.ThrowsAsync<AgentUnavailableException>(() => client.GetHealthAsync(None));
        await Assert.ThrowsAsync<AgentUnavailableException>(() => client.OpenOutputAsync("cmd_1", 0, None));
    }

    [Fact]
    public async Task Answer_ErrorEnvelope_IsItsCode()
    {
        using var agent = new HostileAgent(HostileAgent.Http("409 Conflict", """{"error":{"code":"conflict","message":"no"}}"""));
        using var client = new AgentClient(agent.SocketPath);

        var exception = await Assert.ThrowsAsync<AgentErrorException>(() => client.DeleteCommandAsync("cmd_1", None));
        Assert.Equal(("conflict", 409), (exception.Code, exception.Status));
    }

    [Fact]
    public async Task Answer_OfAnotherCommand_IsRefused()
    {
        using var agent = new HostileAgent(HostileAgent.Http("200 OK", """{"id":"cmd_other","state":"running"}"""));
        using var client = new AgentClient(agent.SocketPath);

        var exception = await Assert.ThrowsAsync<AgentUnavailableException>(() => client.CancelAsync("cmd_1", "force", null, None));
        Assert.True(exception.BrokeProtocol);
    }

    [Fact]
    public async Task Output_Frames_ArriveInOrderWithTheEnd()
    {
        using var agent = new HostileAgent(HostileAgent.Upgraded(
            HostileAgent.Frame(1, 5, "out"u8.ToArray()), HostileAgent.Frame(2, 8, new byte[900_000]),
            HostileAgent.Frame(3, 900_008, """{"id":"cmd_1","state":"ended","endReason":"exited","exitCode":4}"""u8.ToArray())));
        await using var output = await new AgentClient(agent.SocketPath).OpenOutputAsync("cmd_1", 5, None);

        var first = await output.ReadFrameAsync(None);
        Assert.Equal((AgentFrameKind.Stdout, 5L, "out"), (first.Kind, first.Offset, Encoding.ASCII.GetString(first.Payload.Span)));
        Assert.Equal(900_008, (await output.ReadFrameAsync(None)).EndOffset);
        Assert.Equal(4, (await output.ReadFrameAsync(None)).State!.ExitCode);
    }

    public static TheoryData<string, byte[]> BadFrames => new()
    {
        { "unknown kind", HostileAgent.Frame(9, 0, [1]) },
        { "nothing in it", HostileAgent.Frame(1, 0, []) },
        { "wrong offset", HostileAgent.Frame(1, 7, [1]) },
        { "huge length", HostileAgent.Frame(1, 0, [1], length: uint.MaxValue) },
        { "longer than the window", HostileAgent.Frame(1, 0, [1], length: 2_000_000) },
        { "long end", HostileAgent.Frame(3, 0, [1], length: 900_000) },
        { "end without state", HostileAgent.Frame(3, 0, "{}"u8.ToArray()) },
        { "end that runs", HostileAgent.Frame(3, 0, """{"id":"cmd_1","state":"running"}"""u8.ToArray()) },
        { "cut header", [1, 0, 0] },
        { "cut payload", HostileAgent.Frame(1, 0, [1, 2], length: 100) },
    };

    [Theory]
    [MemberData(nameof(BadFrames))]
    public async Task Output_BadFrame_IsAnUnavailableAgent(string what, byte[] frame)
    {
        using var agent = new HostileAgent(HostileAgent.Upgraded(frame));
        await using var output = await new AgentClient(agent.SocketPath).OpenOutputAsync("cmd_1", 0, None);

        var exception = await Record.ExceptionAsync(async () => await output.ReadFrameAsync(None));
        Assert.True(exception is AgentUnavailableException, $"{what}: {exception}");
    }

    [Theory]
    [InlineData("HTTP/1.1 410 Gone\r\n\r\n", "stream_gap")]
    [InlineData("HTTP/1.1 404 Not Found\r\n\r\n", "not_found")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n", "invalid_request")]
    public async Task Output_Refused_IsTheCodeOfTheStatus(string answer, string code)
    {
        using var agent = new HostileAgent(Encoding.ASCII.GetBytes(answer));
        using var client = new AgentClient(agent.SocketPath);

        var exception = await Assert.ThrowsAsync<AgentErrorException>(() => client.OpenOutputAsync("cmd_1", 0, None));
        Assert.Equal(code, exception.Code);
    }

    [Fact]
    public async Task Output_EndlessHeader_IsCutOff()
    {
        using var agent = new HostileAgent([.. "HTTP/1.1 101 Yes\r\n"u8, .. Enumerable.Repeat((byte)'x', 100_000)], closes: false);

        await Assert.ThrowsAsync<AgentUnavailableException>(() => new AgentClient(agent.SocketPath).OpenOutputAsync("cmd_1", 0, None));
    }
}
