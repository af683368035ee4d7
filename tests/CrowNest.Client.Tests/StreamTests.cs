using System.Text;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http;

namespace CrowNest.Client.Tests;

public sealed class StreamTests
{
    [Fact]
    public async Task Stream_LogsAndTerminal_AreDeliveredInOrder()
    {
        await using var server = await ApiServer.StartAsync(context =>
            context.Response.WriteEventsAsync(Samples.Log(1, "a"), Samples.Heartbeat, Samples.Log(2, "b"), Samples.Terminal()));

        var events = await CollectAsync(server.Client());

        Assert.Equal(["1:a", "2:b", "terminal"], events);
        var request = Assert.Single(server.Requests);
        Assert.Equal($"/v1/commands/{Samples.CommandId}/stream", request.Target);
        Assert.Equal("text/event-stream", request.Headers["Accept"]);
    }

    [Fact]
    public async Task Stream_ConnectionsBreak_ContinuesAfterLastSeqWithoutGapOrDuplicate()
    {
        var connection = 0;
        await using var server = await ApiServer.StartAsync(async context =>
        {
            switch (connection++)
            {
                case 0:
                    await context.Response.WriteEventsAsync(Samples.Log(1, "a"));
                    break;
                case 1:
                    await context.Response.WriteEventsAsync(Samples.Log(2, "b"));
                    context.Abort();
                    break;
                case 2:
                    // A server that repeats itself, then breaks within an event.
                    await context.Response.WriteEventsAsync(Samples.Log(2, "b"), Samples.Log(3, "c"));
                    await context.Response.WriteAsync("data: {\"type\":\"log\",\"seq\":4");
                    break;
                default:
                    await context.Response.WriteEventsAsync(Samples.Log(4, "d"), Samples.Terminal());
                    break;
            }
        });

        var events = await CollectAsync(server.Client());

        Assert.Equal(["1:a", "2:b", "3:c", "4:d", "terminal"], events);
        var positions = server.Requests.Select(r => r.Target.Split("/stream")[1]).ToArray();
        Assert.Equal(["", "?afterSeq=1", "?afterSeq=3"], [positions[0], positions[1], positions[3]]);
        // Whether the chunk before the abort still arrived is up to the kernel.
        Assert.Contains(positions[2], new[] { "?afterSeq=1", "?afterSeq=2" });
    }

    [Fact]
    public async Task Stream_NoProgress_GivesUpAfterSixAttempts()
    {
        await using var server = await ApiServer.StartAsync(context => context.Response.WriteEventsAsync(Samples.Heartbeat));

        var error = await Assert.ThrowsAsync<CrowNestApiException>(() => CollectAsync(server.Client()));

        Assert.Equal("stream_disconnected", error.Code);
        Assert.Equal(6, server.Requests.Count);
    }

    [Fact]
    public async Task Stream_ProgressEachTime_NeverSpendsTheBudget()
    {
        var seq = 0;
        await using var server = await ApiServer.StartAsync(context => ++seq <= 20
            ? context.Response.WriteEventsAsync(Samples.Log(seq, "x"))
            : context.Response.WriteEventsAsync(Samples.Terminal()));

        var events = await CollectAsync(server.Client());

        Assert.Equal(21, events.Count);
    }

    [Fact]
    public async Task Stream_ProxyAnswersForAWhile_Continues()
    {
        var connection = 0;
        await using var server = await ApiServer.StartAsync(context =>
        {
            if (connection++ < 3)
            {
                context.Response.StatusCode = StatusCodes.Status502BadGateway;
                return context.Response.WriteAsync("<html>");
            }

            return context.Response.WriteEventsAsync(Samples.Terminal());
        });
        var interruptions = new List<bool>();

        var events = await CollectAsync(server.Client(), new CommandStreamOptions { OnInterrupted = interruptions.Add });

        Assert.Equal(["terminal"], events);
        Assert.Equal([true, true, true, false], interruptions);
    }

    [Fact]
    public async Task Stream_ApiRefuses_IsNotRetried()
    {
        await using var server = await ApiServer.StartAsync(409, """{"error":{"code":"stream_gap","message":"Gone."}}""");

        var error = await Assert.ThrowsAsync<CrowNestApiException>(
            () => CollectAsync(server.Client(), new CommandStreamOptions { AfterSeq = 1 }));

        Assert.Equal("stream_gap", error.Code);
        Assert.Equal("?afterSeq=1", Assert.Single(server.Requests).Target.Split("/stream")[1]);
    }

    [Fact]
    public async Task Stream_ErrorEvent_EndsIt()
    {
        await using var server = await ApiServer.StartAsync(context => context.Response.WriteEventsAsync(
            Samples.Log(1, "a"), """{"type":"error","code":"stream_gap","message":"Gone.","createdAt":"2026-11-22T10:00:00.000Z"}"""));

        var events = await CollectAsync(server.Client());

        Assert.Equal(["1:a", "error"], events);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Stream_ReconnectOff_FailsOnFirstBreak()
    {
        await using var server = await ApiServer.StartAsync(context => context.Response.WriteEventsAsync(Samples.Log(1, "a")));

        await Assert.ThrowsAsync<CrowNestApiException>(
            () => CollectAsync(server.Client(), new CommandStreamOptions { Reconnect = false }));

        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Stream_ReaderStops_EndsTheRequest()
    {
        var ended = new TaskCompletionSource();
        await using var server = await ApiServer.StartAsync(async context =>
        {
            context.RequestAborted.Register(() => ended.TrySetResult());
            await context.Response.WriteEventsAsync(Samples.Log(1, "a"));
            await ended.Task;
        });

        await foreach (var _ in server.Client().Commands.StreamAsync(Samples.CommandId))
            break;

        await ended.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData("data: 1\n\ndata:2\n\n", "1|2")]
    [InlineData(": comment\n\nid: 7\nevent: log\ndata: 1\nretry: 5\n\n", "1")]
    [InlineData("data: a\ndata: b\n\n", "a\nb")]
    [InlineData("data: last", "last")]
    [InlineData("data: crlf\r\n\r\n", "crlf")]
    [InlineData("\n\n\nevent: x\n\n", "")]
    [InlineData("data:   über ✓\n\n", "über ✓")]
    public async Task Reader_Blocks_AreSplitHoweverTheyArrive(string text, string expected)
    {
        foreach (var step in new[] { 1, 3, 1000 })
        {
            await using var stream = new TrickleStream(Encoding.UTF8.GetBytes(text), step);
            var blocks = new List<string>();
            await foreach (var block in SseReader.ReadAsync(stream, CancellationToken.None))
                blocks.Add(block);
            Assert.Equal(expected, string.Join('|', blocks));
        }
    }

    private static async Task<List<string>> CollectAsync(CrowNestClient client, CommandStreamOptions? options = null)
    {
        var events = new List<string>();
        await foreach (var current in client.Commands.StreamAsync(Samples.CommandId, options))
            events.Add(current.Type == CommandStreamEventType.Log ? $"{current.Seq}:{current.Data}" : current.Type);
        return events;
    }

    /// <summary>Delivers a few bytes per read, as a network may.</summary>
    private sealed class TrickleStream(byte[] content, int step) : MemoryStream(content)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(step, buffer.Length)], cancellationToken);
    }
}

internal static class ResponseExtensions
{
    public static Task WriteJsonAsync(this HttpResponse response, string json)
    {
        response.ContentType = "application/json";
        return response.WriteAsync(json);
    }

    public static async Task WriteEventsAsync(this HttpResponse response, params string[] events)
    {
        response.ContentType = "text/event-stream";
        foreach (var data in events)
        {
            await response.WriteAsync($"data: {data}\n\n");
            await response.Body.FlushAsync();
        }
    }
}
