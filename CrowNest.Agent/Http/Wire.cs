using System.Text.Json.Serialization;
using CrowNest.Agent.Commands;
using CrowNest.Agent.Files;

namespace CrowNest.Agent.Http;

// Bodies of docs/protocols.md 2. What a request leaves out is null here and refused or defaulted by its handler.

internal sealed record ErrorBody(ErrorDetail Error);

internal sealed record ErrorDetail(string Code, string Message);

internal sealed record Health(string Version, string? SandboxId, int ActiveCommands);

internal sealed record ClaimRequest(string? SandboxId, Dictionary<string, string>? Environment);

internal sealed record ClaimAnswer(string SandboxId);

internal sealed record StartRequest(string? Id, string? Command, string? Cwd, Dictionary<string, string>? Environment, long? TimeoutMs);

internal sealed record CancelRequest(string? Mode, long? GraceMs);

internal sealed record CommandList(IReadOnlyList<CommandState> Commands);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(Health))]
[JsonSerializable(typeof(ClaimRequest))]
[JsonSerializable(typeof(ClaimAnswer))]
[JsonSerializable(typeof(StartRequest))]
[JsonSerializable(typeof(CancelRequest))]
[JsonSerializable(typeof(CommandList))]
[JsonSerializable(typeof(CommandState))]
[JsonSerializable(typeof(FileStat))]
[JsonSerializable(typeof(MakeDirectoryRequest))]
[JsonSerializable(typeof(MoveRequest))]
[JsonSerializable(typeof(ArchiveExtracted))]
[JsonSerializable(typeof(SearchRequest))]
[JsonSerializable(typeof(SearchAnswer))]
internal sealed partial class Wire : JsonSerializerContext;
