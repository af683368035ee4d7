using System.Net;
using System.Text.Json.Serialization;

namespace CrowNest.Worker.Runtime;

// The parts of the Engine API's JSON that the worker uses. Members have the engine's own names, so no attribute maps them.

internal sealed record EngineVersion(string Version, string ApiVersion, string? MinAPIVersion);

internal sealed record EngineInfo(string DefaultRuntime, IReadOnlyDictionary<string, object> Runtimes, long MemTotal, int NCPU);

/// <param name="Created">Unix seconds.</param>
internal sealed record EngineImage(string Id, long Created, IReadOnlyDictionary<string, string>? Labels);

/// <param name="State"><c>running</c>, <c>created</c>, <c>exited</c>, …</param>
internal sealed record EngineContainer(
    string Id, IReadOnlyList<string> Names, string State, long Created, IReadOnlyDictionary<string, string> Labels)
{
    /// <summary>The engine writes names with a slash in front.</summary>
    public string Name => Names.Count > 0 ? Names[0].TrimStart('/') : Id;
}

internal sealed record EngineContainerDetails(string Id, EngineContainerState State, EngineHostConfig HostConfig);

internal sealed record EngineContainerState(bool Running, int Pid, int ExitCode, bool OOMKilled, string? Error);

internal sealed record EngineHostConfig(string Runtime);

/// <param name="TimeNano">Unix nanoseconds.</param>
internal sealed record EngineEvent(
    string Action, EngineActor Actor, [property: JsonPropertyName("timeNano")] long TimeNano);

internal sealed record EngineActor(
    [property: JsonPropertyName("ID")] string Id, IReadOnlyDictionary<string, string> Attributes);

/// <summary>Body of a container create request.</summary>
internal sealed record ContainerSpec
{
    public required string Image { get; init; }
    public required IReadOnlyList<string> Entrypoint { get; init; }
    public required IReadOnlyList<string> Cmd { get; init; }
    public required string User { get; init; }
    public required string Hostname { get; init; }
    public required string WorkingDir { get; init; }
    public required IReadOnlyDictionary<string, string> Labels { get; init; }
    public required ContainerHostSpec HostConfig { get; init; }
}

internal sealed record ContainerHostSpec
{
    public string? Runtime { get; init; }
    public required string NetworkMode { get; init; }
    public required bool ReadonlyRootfs { get; init; }
    public required IReadOnlyList<string> Binds { get; init; }
    public required IReadOnlyDictionary<string, string> Tmpfs { get; init; }
    public required long Memory { get; init; }

    /// <summary>Memory and swap together; the same as <see cref="Memory"/>: no swap.</summary>
    public required long MemorySwap { get; init; }
    public required long NanoCpus { get; init; }
    public required long PidsLimit { get; init; }
    public required int OomScoreAdj { get; init; }
    public required IReadOnlyList<string> CapDrop { get; init; }
    public required IReadOnlyList<string> CapAdd { get; init; }
    public required IReadOnlyList<string> SecurityOpt { get; init; }
    public required IReadOnlyList<string> Dns { get; init; }
    public required ContainerLogSpec LogConfig { get; init; }
    public required string IpcMode { get; init; }
    public required string CgroupnsMode { get; init; }
    public required ContainerRestartSpec RestartPolicy { get; init; }
}

internal sealed record ContainerLogSpec(string Type);

internal sealed record ContainerRestartSpec(string Name);

internal sealed record ContainerCreated(string Id, IReadOnlyList<string>? Warnings);

/// <summary>The container engine refused, or did not answer.</summary>
/// <param name="status">Its HTTP status; null when there was no answer.</param>
internal sealed class EngineException(string message, HttpStatusCode? status, Exception? inner = null) : Exception(message, inner)
{
    public HttpStatusCode? Status => status;
}
