using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http.Features;

namespace CrowNest.Api.Http;

/// <summary>
/// A stream of server-sent events (docs/reference/api.md 2.14, H4): LF only, one JSON object a block, flushed at once. After every
/// <see cref="ApiOptions.HeartbeatInterval"/> of silence it sends a heartbeat. Safe for one writer beside its own heartbeats.
/// </summary>
internal sealed class SseWriter : IAsyncDisposable
{
    private readonly HttpContext _context;
    private readonly Func<DateTimeOffset, object>? _heartbeat;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly ITimer? _timer;
    private readonly TimeSpan _interval;
    private readonly ArrayBufferWriter<byte> _json = new(256);
    private bool _closed;

    private SseWriter(HttpContext context, Func<DateTimeOffset, object>? heartbeat, TimeSpan interval, TimeProvider time)
    {
        _context = context;
        _heartbeat = heartbeat;
        _interval = interval;
        _time = time;
        _timer = heartbeat is null ? null : time.CreateTimer(_ => _ = BeatAsync(), null, interval, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Sends status and headers. Every problem must have been found before.</summary>
    /// <param name="heartbeat">Makes a heartbeat's payload, whose <c>type</c> is <c>heartbeat</c>; null: none are sent.</param>
    public static async Task<SseWriter> OpenAsync(
        HttpContext context, Func<DateTimeOffset, object>? heartbeat, TimeSpan interval, TimeProvider time)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        // Tells nginx and its like not to hold events back.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        await context.Response.StartAsync(context.RequestAborted);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        return new SseWriter(context, heartbeat, interval, time);
    }

    /// <summary>Where a client wants to resume that says so by header; one that is none of our numbers is no such wish.</summary>
    public static long? ReadLastEventId(HttpRequest request) =>
        long.TryParse(request.Headers["Last-Event-ID"], NumberStyles.None, CultureInfo.InvariantCulture, out var seq) ? seq : null;

    /// <summary>Sends one event.</summary>
    /// <param name="type">The payload's <c>type</c> member.</param>
    /// <param name="seq">The event's sequence number, if it has one.</param>
    public async Task WriteAsync<T>(string type, long? seq, T payload, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            Append(type, seq, payload);
            await _context.Response.BodyWriter.FlushAsync(cancellationToken);
            _timer?.Change(_interval, Timeout.InfiniteTimeSpan);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_timer is not null)
        {
            await _timer.DisposeAsync();
        }

        // A heartbeat that has just begun must not meet a finished response.
        await _turn.WaitAsync();
        _closed = true;
        _turn.Release();
    }

    private async Task BeatAsync()
    {
        try
        {
            await WriteAsync(CommandStreamEventType.Heartbeat, null, _heartbeat!(_time.GetUtcNow()), _context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            // The client is gone; the handler notices by the same token.
        }
        catch (ObjectDisposedException)
        {
            // The stream ended between the tick and the write.
        }
    }

    private void Append<T>(string type, long? seq, T payload)
    {
        var output = _context.Response.BodyWriter;
        if (seq is { } number)
        {
            Text(string.Create(CultureInfo.InvariantCulture, $"id: {number}\n"));
        }

        Text($"event: {type}\ndata: ");
        _json.ResetWrittenCount();
        using (var writer = new Utf8JsonWriter(_json, new JsonWriterOptions { Encoder = CrowNestJson.Options.Encoder }))
        {
            JsonSerializer.Serialize(writer, payload, payload?.GetType() ?? typeof(T), CrowNestJson.Options);
        }

        output.Write(_json.WrittenSpan);
        output.Write("\n\n"u8);

        void Text(string text) => Encoding.UTF8.GetBytes(text, output);
    }
}
