using System.Runtime.CompilerServices;
using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>How to follow something.</summary>
public record EventStreamOptions
{
    /// <summary>Only what comes after this sequence number; default: from the oldest retained.</summary>
    public long? AfterSeq { get; init; }

    /// <summary>Whether to continue after a broken connection.</summary>
    public bool Reconnect { get; init; } = true;

    /// <summary>Called with true when the connection was lost and is about to be made again, with false when it is back.</summary>
    public Action<bool>? OnInterrupted { get; init; }
}

/// <summary>What the scheme must know of an event.</summary>
/// <param name="Seq">Where to continue after it; null: it has no place.</param>
internal readonly record struct StreamedEvent(long? Seq, bool IsHeartbeat, bool IsEnd);

/// <summary>
/// The reconnect scheme of docs/reference/clients.md 1.2: at most one attempt per delay in a row without a new event that has a place; an
/// answer of the API itself is never retried.
/// </summary>
/// <param name="target">Path and query of a stream after a sequence number.</param>
internal sealed class EventStream<T>(
    Transport transport, CrowNestClientOptions options, Func<long?, string> target, Func<T, StreamedEvent> look) where T : class
{
    public async IAsyncEnumerable<T> ReadAsync(
        EventStreamOptions request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var position = request.AfterSeq;
        var failures = 0;
        while (true)
        {
            Exception? broken = null;
            await using var events = ConnectAsync(position, cancellationToken).GetAsyncEnumerator(cancellationToken);
            while (true)
            {
                try
                {
                    if (!await events.MoveNextAsync())
                        break;
                }
                catch (Exception exception) when (CanContinue(exception, cancellationToken))
                {
                    broken = exception;
                    break;
                }

                var current = events.Current;
                if (current is null)
                {
                    // Connected: told by a null before the first event.
                    if (failures > 0)
                        request.OnInterrupted?.Invoke(false);
                    continue;
                }

                var seen = look(current);
                if (seen.IsHeartbeat || (!seen.IsEnd && seen.Seq <= position))
                    continue;
                if (seen.Seq is { } seq)
                {
                    position = seq;
                    failures = 0;
                }

                yield return current;
                if (seen.IsEnd)
                    yield break;
            }

            if (!request.Reconnect || failures >= options.ReconnectDelays.Count)
                throw Disconnected(broken);
            request.OnInterrupted?.Invoke(true);
            await Task.Delay(options.ReconnectDelays[failures++], options.TimeProvider, cancellationToken);
        }
    }

    /// <summary>One connection: null once it stands, then its events.</summary>
    private async IAsyncEnumerable<T?> ConnectAsync(long? afterSeq, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await transport.OpenAsync(target(afterSeq), "text/event-stream", cancellationToken);
        yield return null;
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var data in SseReader.ReadAsync(body, cancellationToken))
        {
            yield return JsonSerializer.Deserialize<T>(data, CrowNestJson.Options) ?? throw new JsonException("An event is null.");
        }
    }

    private static bool CanContinue(Exception exception, CancellationToken cancellationToken) => exception switch
    {
        CrowNestApiException api => !api.IsApiAnswer,
        JsonException or InvalidDataException => true,
        _ => Transport.IsConnectionFailure(exception, cancellationToken),
    };

    private static CrowNestApiException Disconnected(Exception? cause) => new(
        (cause as CrowNestApiException)?.Status,
        CrowNestApiException.ClientCodes.StreamDisconnected,
        $"The stream ended before what it tells of did, and could not be continued: {cause?.Message ?? "the connection was closed"}",
        innerException: cause);
}
