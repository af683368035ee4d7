using System.Text.Json.Serialization;
using CrowNest.Platform.Nodes;

namespace CrowNest.Worker.Agents;

// docs/protocols.md 2. What an agent answers is a sandbox's word: every value is checked where it is used.

internal sealed record AgentHealth
{
    public string? Version { get; init; }
    public string? SandboxId { get; init; }
    public int ActiveCommands { get; init; }
}

internal sealed record AgentClaim(string SandboxId, IReadOnlyDictionary<string, string> Environment);

internal sealed record AgentClaimed(string? SandboxId);

internal sealed record AgentStartCommand
{
    public required string Id { get; init; }
    public required string Command { get; init; }
    public required string Cwd { get; init; }
    public required IReadOnlyDictionary<string, string> Environment { get; init; }
    public long? TimeoutMs { get; init; }
}

/// <summary>docs/protocols.md 2.1; times are Unix milliseconds.</summary>
internal sealed record AgentCommandState
{
    public required string Id { get; init; }
    public int Pid { get; init; }
    public required string State { get; init; }
    public long StartedAt { get; init; }
    public long? EndedAt { get; init; }
    public int? ExitCode { get; init; }
    public string? EndReason { get; init; }
    public string? TerminationSignal { get; init; }
    public string? CancelMode { get; init; }
    public long ProducedBytes { get; init; }
    public long AcknowledgedBytes { get; init; }

    [JsonIgnore]
    public bool HasEnded => State == "ended";
}

internal sealed record AgentCommandList(IReadOnlyList<AgentCommandState>? Commands);

internal sealed record AgentCancel(string Mode, int? GraceMs);

/// <summary>Answer to an extraction.</summary>
internal sealed record AgentExtracted(long Entries, long Bytes);

internal sealed record AgentErrorAnswer(AgentErrorBody? Error);

internal sealed record AgentErrorBody(string? Code, string? Message);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AgentHealth))]
[JsonSerializable(typeof(AgentClaim))]
[JsonSerializable(typeof(AgentClaimed))]
[JsonSerializable(typeof(AgentStartCommand))]
[JsonSerializable(typeof(AgentCommandState))]
[JsonSerializable(typeof(AgentCommandList))]
[JsonSerializable(typeof(AgentCancel))]
[JsonSerializable(typeof(AgentErrorAnswer))]
[JsonSerializable(typeof(AgentFile))]
[JsonSerializable(typeof(AgentExtracted))]
internal sealed partial class AgentJson : JsonSerializerContext;
