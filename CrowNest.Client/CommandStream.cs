using System.Runtime.CompilerServices;
using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>How to follow a command.</summary>
public sealed record CommandStreamOptions
{
    /// <summary>Only output after this sequence number; default: from the oldest retained.</summary>
    public long? AfterSeq { get; init; }

    /// <summary>Whether to continue after a broken connection.</summary>
    public bool Reconnect { get; init; } = true;

    /// <summary>Called with true when the connection was lost and is about to be made again, with false when it is back.</summary>
    public Action<bool>? OnInterrupted { get; init; }
}

/// <summary>
/// The reconnect scheme of clients.md 1.2: at most one attempt per delay in a row without a new <c>log</c> event; an answer of the API
/// itself is never retried.
/// </summary>
internal sealed class CommandStream(Transport transport, CrowNestClientOptions options)
{
    public async IAsyncEnumerable<CommandStreamEvent> ReadAsync(
        string path, CommandStreamOptions request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var position = request.AfterSeq;
        var failures = 0;
        while (true)
        {
            Exception? broken = null;
            await using var events = ConnectAsync(path, position, cancellationToken).GetAsyncEnumerator(cancellationToken);
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

                if (current.Type == CommandStreamEventType.Heartbeat || (current.Seq is { } seen && seen <= position))
                    continue;
                if (current.Type == CommandStreamEventType.Log && current.Seq is { } seq)
                {
                    position = seq;
                    failures = 0;
                }

                yield return current;
                if (current.Type is CommandStreamEventType.Terminal or CommandStreamEventType.Error)
                    yield break;
            }

            if (!request.Reconnect || failures >= options.ReconnectDelays.Count)
                throw Disconnected(broken);
            request.OnInterrupted?.Invoke(true);
            await Task.Delay(options.ReconnectDelays[failures++], options.TimeProvider, cancellationToken);
        }
    }

    /// <summary>One connection: null once it stands, then its events.</summary>
    private async IAsyncEnumerable<CommandStreamEvent?> ConnectAsync(
        string path, long? afterSeq, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var query = new Query(path + "/stream").Add("afterSeq", afterSeq).ToString();
        using var response = await transport.OpenAsync(query, "text/event-stream", cancellationToken);
        yield return null;
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var data in SseReader.ReadAsync(body, cancellationToken))
        {
            yield return JsonSerializer.Deserialize<CommandStreamEvent>(data, CrowNestJson.Options)
                ?? throw new JsonException("An event is null.");
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
        $"The stream ended before the command did, and could not be continued: {cause?.Message ?? "the connection was closed"}",
        innerException: cause);
}
