using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Xunit;

namespace CrowNest.Api.Tests.Http;

/// <summary>Server-sent events (docs/reference/api.md 2.14) and held answers (OP-6).</summary>
public sealed class StreamTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TestApi _api = null!;
    private int _executions;

    public async ValueTask InitializeAsync()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        _api = await TestApi.StartAsync(database, redis.ConnectionString, v1 =>
        {
            v1.MapGet("/stream", async (HttpContext context, IOptions<ApiOptions> options, TimeProvider time) =>
            {
                await using var sse = await SseWriter.OpenAsync(
                    context, now => new CommandStreamEvent { Type = "heartbeat", CreatedAt = now }, options.Value.HeartbeatInterval, time);
                var log = new CommandStreamEvent
                {
                    Type = "log",
                    Seq = 7,
                    Stream = "stdout",
                    Data = "a\r\nb\u2028\u00e9\n",
                    CreatedAt = DateTimeOffset.Parse("2026-02-03T04:05:06.789Z", null),
                };
                await sse.WriteAsync("log", 7, log, context.RequestAborted);
                await _gate.Task;
                await sse.WriteAsync("terminal", null, new CommandStreamEvent { Type = "terminal", CreatedAt = time.GetUtcNow() }, context.RequestAborted);
            }).AnyScope();
            v1.MapPost("/held", () => EarlyHeaders.Json(HeldAsync(fails: false))).AnyScope().HonoursIdempotencyKey();
            v1.MapPost("/held-fails", () => EarlyHeaders.Json(HeldAsync(fails: true))).AnyScope().HonoursIdempotencyKey();
        }, ("Api:EarlyHeadersAfter", "00:00:00.200"), ("Api:HeartbeatInterval", "00:00:00.100"));
    }

    public async ValueTask DisposeAsync()
    {
        _gate.TrySetResult();
        await _api.DisposeAsync();
    }

    [Fact]
    public async Task Stream_WithSilence_HasEventsHeartbeatsAndOnlyLineFeeds()
    {
        using var client = _api.Client();
        using var response = await client.GetAsync("/v1/stream", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.ToString());
        Assert.True(response.Headers.CacheControl!.NoStore);
        await using var stream = await response.Content.ReadAsStreamAsync();
        var text = new StringBuilder();
        var buffer = new byte[4096];
        while (text.ToString().Split("event: heartbeat").Length < 4)
        {
            var read = await stream.ReadAsync(buffer);
            Assert.NotEqual(0, read);
            text.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }

        _gate.SetResult();
        int last;
        while ((last = await stream.ReadAsync(buffer)) > 0)
        {
            text.Append(Encoding.UTF8.GetString(buffer, 0, last));
        }

        var all = text.ToString();
        Assert.DoesNotContain('\r', all);
        Assert.StartsWith("id: 7\nevent: log\ndata: {\"type\":\"log\",\"seq\":7,\"stream\":\"stdout\",\"data\":\"a\\r\\nb", all, StringComparison.Ordinal);
        Assert.EndsWith("\n\n", all, StringComparison.Ordinal);
        var blocks = all.TrimEnd('\n').Split("\n\n");
        Assert.StartsWith("event: terminal\n", blocks[^1], StringComparison.Ordinal);
        foreach (var block in blocks)
        {
            using var data = JsonDocument.Parse(block.Split('\n').Single(l => l.StartsWith("data: ", StringComparison.Ordinal))[6..]);
            ContractGuard.RefuseNull(data.RootElement, block);
            Assert.Contains($"event: {data.RootElement.GetProperty("type").GetString()}\n", block, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData("k1")]
    public async Task HeldAnswer_ThatTakesLong_SendsHeadersAndNewlinesBeforeTheJson(string? key)
    {
        using var client = _api.Client();
        var watch = Stopwatch.StartNew();
        using var response = await client.SendAsync(Held("/v1/held", key), HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(watch.ElapsedMilliseconds >= 190, $"{watch.ElapsedMilliseconds} ms");
        await using var stream = await response.Content.ReadAsStreamAsync();
        var buffer = new byte[1];
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(1, await stream.ReadAsync(buffer));
            Assert.Equal((byte)'\n', buffer[0]);
        }

        _gate.SetResult();
        using var reader = new StreamReader(stream);
        Assert.Equal("{\"ok\":true}", (await reader.ReadToEndAsync()).Trim());
        if (key is not null)
        {
            using var replay = await client.SendAsync(Held("/v1/held", key));
            Assert.Equal("{\"ok\":true}", await replay.Content.ReadAsStringAsync());
            Assert.Equal(1, _executions);
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData("k1")]
    public async Task HeldAnswer_ThatIsQuick_IsPlainJson(string? key)
    {
        _gate.SetResult();
        using var client = _api.Client();
        using var response = await client.SendAsync(Held("/v1/held", key));
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("{\"ok\":true}", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task HeldAnswer_ThatFailsEarly_IsAnEnvelopeAndLateABrokenConnection()
    {
        using var client = _api.Client();
        using (var late = await client.SendAsync(Held("/v1/held-fails", "k1"), HttpCompletionOption.ResponseHeadersRead))
        {
            _gate.SetResult();
            await Assert.ThrowsAsync<HttpRequestException>(() => late.Content.ReadAsStringAsync());
        }

        await client.SendAsync(Held("/v1/held-fails", "k1")).ErrorAsync(409, ErrorCodes.Conflict);
        Assert.Equal(2, _executions);
    }

    private async Task<object> HeldAsync(bool fails)
    {
        Interlocked.Increment(ref _executions);
        await _gate.Task;
        return fails ? throw new ApiException(ErrorCodes.Conflict, "As asked.") : new { ok = true };
    }

    private static HttpRequestMessage Held(string route, string? key)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, route);
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return request;
    }
}
