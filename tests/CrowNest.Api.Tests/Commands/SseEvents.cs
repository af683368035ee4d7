using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace CrowNest.Api.Tests.Commands;

/// <param name="Data">The one line of JSON.</param>
internal sealed record SseEvent(string? Id, string? Type, JsonElement Data);

/// <summary>Reads a stream as the official clients do: blocks split at two LF.</summary>
internal sealed class SseEvents(HttpResponseMessage response, Stream stream) : IDisposable
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly StringBuilder _text = new();

    public HttpResponseMessage Response => response;

    public static async Task<SseEvents> OpenAsync(HttpClient client, string path, string? lastEventId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return new SseEvents(response, await response.Content.ReadAsStreamAsync());
    }

    /// <summary>The next event; null when the stream has ended.</summary>
    public async Task<SseEvent?> NextAsync(TimeSpan? within = null)
    {
        using var limit = new CancellationTokenSource(within ?? TimeSpan.FromSeconds(20));
        while (true)
        {
            var text = _text.ToString();
            if (text.Contains('\r'))
            {
                throw new InvalidDataException("CR in an event stream (H4).");
            }

            var end = text.IndexOf("\n\n", StringComparison.Ordinal);
            if (end >= 0)
            {
                _text.Remove(0, end + 2);
                return Parse(text[..end]);
            }

            var read = await stream.ReadAsync(_buffer, limit.Token);
            if (read == 0)
            {
                return null;
            }

            _text.Append(Encoding.UTF8.GetString(_buffer, 0, read));
        }
    }

    /// <summary>Every event to the end of the stream, without heartbeats.</summary>
    public async Task<List<SseEvent>> ToEndAsync()
    {
        var events = new List<SseEvent>();
        while (await NextAsync() is { } next)
        {
            if (next.Type != "heartbeat")
            {
                events.Add(next);
            }
        }

        return events;
    }

    public void Dispose() => response.Dispose();

    private static SseEvent Parse(string block)
    {
        var lines = block.Split('\n').Select(l => l.Split(": ", 2)).ToDictionary(p => p[0], p => p[1]);
        using var document = JsonDocument.Parse(lines["data"]);
        ContractGuard.RefuseNull(document.RootElement, "event");
        return new SseEvent(lines.GetValueOrDefault("id"), lines.GetValueOrDefault("event"), document.RootElement.Clone());
    }
}
