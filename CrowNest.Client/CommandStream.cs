using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>How to follow a command.</summary>
public sealed record CommandStreamOptions : EventStreamOptions;

/// <summary>Streams of commands (docs/reference/api.md 5.6): only <c>log</c> events have a place.</summary>
internal static class CommandStream
{
    public static EventStream<CommandStreamEvent> Of(Transport transport, CrowNestClientOptions options, string path) => new(
        transport, options, afterSeq => new Query(path + "/stream").Add("afterSeq", afterSeq).ToString(),
        e => new StreamedEvent(
            e.Type == CommandStreamEventType.Log ? e.Seq : null, e.Type == CommandStreamEventType.Heartbeat,
            e.Type is CommandStreamEventType.Terminal or CommandStreamEventType.Error));
}
