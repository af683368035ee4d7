using System.Text.Json.Serialization;

namespace CrowNest.Agent.Commands;

[JsonConverter(typeof(JsonStringEnumConverter<CommandPhase>))]
internal enum CommandPhase
{
    [JsonStringEnumMemberName("running")]
    Running,

    [JsonStringEnumMemberName("ended")]
    Ended,
}

[JsonConverter(typeof(JsonStringEnumConverter<EndReason>))]
internal enum EndReason
{
    [JsonStringEnumMemberName("exited")]
    Exited,

    [JsonStringEnumMemberName("timed_out")]
    TimedOut,

    [JsonStringEnumMemberName("canceled")]
    Canceled,
}

[JsonConverter(typeof(JsonStringEnumConverter<CancelMode>))]
internal enum CancelMode
{
    [JsonStringEnumMemberName("graceful")]
    Graceful,

    [JsonStringEnumMemberName("force")]
    Force,
}

/// <summary>docs/protocols.md 2.1. Times are Unix milliseconds.</summary>
internal sealed record CommandState(
    string Id,
    int Pid,
    CommandPhase State,
    long StartedAt,
    long? EndedAt,
    int? ExitCode,
    EndReason? EndReason,
    string? TerminationSignal,
    CancelMode? CancelMode,
    long ProducedBytes,
    long AcknowledgedBytes);
