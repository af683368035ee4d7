using System.Text.Json.Serialization;

namespace CrowNest.Contracts;

/// <summary>A command as the API shows it (docs/reference/api.md 5.1).</summary>
public sealed record Command
{
    private static readonly IReadOnlyDictionary<string, string> NoEnvironment = new Dictionary<string, string>();

    public required string Id { get; init; }
    public required string SandboxId { get; init; }

    /// <summary>The shell line as submitted.</summary>
    [JsonPropertyName("command")]
    public required string CommandLine { get; init; }
    public required string Cwd { get; init; }

    /// <summary>Always empty: values are ephemeral and never stored (docs/reference/api.md 5.1).</summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = NoEnvironment;

    /// <summary>One of <see cref="CommandStatus"/>.</summary>
    public required string Status { get; init; }
    public int? ExitCode { get; init; }
    public string? Stdout { get; init; }
    public string? Stderr { get; init; }
    public bool? StdoutTruncated { get; init; }
    public bool? StderrTruncated { get; init; }
    public DateTimeOffset? CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public long? DurationMs { get; init; }
    public string? CancelMode { get; init; }
    public DateTimeOffset? CanceledAt { get; init; }
    public string? TerminationSignal { get; init; }
    public string? KilledReason { get; init; }
    public required string CollectStatus { get; init; }
    public IReadOnlyList<CollectError>? CollectErrors { get; init; }

    /// <summary>Why it could not run; present only on <c>failed</c> commands. An addition of this system.</summary>
    public string? FailureMessage { get; init; }
}

public sealed record CollectError(string Code, string Message, string Path);

/// <summary>Statuses of a command (docs/reference/api.md 5.1).</summary>
public static class CommandStatus
{
    public const string Queued = "queued";
    public const string Starting = "starting";
    public const string Running = "running";
    public const string Exited = "exited";
    public const string Failed = "failed";
    public const string Canceled = "canceled";
    public const string TimedOut = "timed_out";
    public const string Killed = "killed";

    /// <summary>A final status never changes.</summary>
    public static bool IsFinal(string status) => status is Exited or Failed or Canceled or TimedOut or Killed;
}

public static class CancelMode
{
    public const string Graceful = "graceful";
    public const string Force = "force";
}

public static class KilledReason
{
    public const string SandboxDestroyed = "sandbox_destroyed";
}

/// <summary>What became of <c>collect</c> (docs/reference/api.md 5.4).</summary>
public static class CollectStatus
{
    public const string NotRequested = "not_requested";
    public const string Pending = "pending";
    public const string Succeeded = "succeeded";
    public const string Partial = "partial";
    public const string Failed = "failed";
    public const string Skipped = "skipped";
}

/// <summary>Streams of a command's output.</summary>
public static class OutputStream
{
    public const string Stdout = "stdout";
    public const string Stderr = "stderr";
}

/// <summary>Body of <c>commands/run</c> and <c>commands/start</c> (docs/reference/api.md 5.2).</summary>
public sealed record RunCommandRequest
{
    public string? Command { get; init; }
    public string? Cwd { get; init; }
    public IReadOnlyDictionary<string, string>? Env { get; init; }
    public long? TimeoutMs { get; init; }
    public IReadOnlyList<CollectRequest>? Collect { get; init; }
    public string? CollectOn { get; init; }
}

public sealed record CollectRequest(string? Path, string? Name = null);

public sealed record CancelCommandRequest(string? Mode);

public sealed record CommandResponse(Command Command);

/// <summary>One chunk of output (docs/reference/api.md 5.6). <c>Seq</c> starts at 1 and is contiguous over both streams.</summary>
public sealed record CommandLogChunk(string CommandId, long Seq, string Stream, string Data, DateTimeOffset CreatedAt);

/// <summary>
/// An event of <c>GET /v1/commands/{id}/stream</c> (docs/reference/api.md 5.6); which members are present follows from <c>Type</c>.
/// </summary>
public sealed record CommandStreamEvent
{
    public required string Type { get; init; }
    public long? Seq { get; init; }
    public string? Stream { get; init; }
    public string? Data { get; init; }
    public Command? Command { get; init; }
    public string? Code { get; init; }
    public string? Message { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}

public static class CommandStreamEventType
{
    public const string Log = "log";
    public const string Heartbeat = "heartbeat";
    public const string Terminal = "terminal";
    public const string Error = "error";
}

/// <summary>A signed link (docs/reference/api.md 2.15).</summary>
/// <param name="AuthMode">One of <see cref="DownloadAuthMode"/>; absent for logs.</param>
/// <param name="Headers">What the answer will have; artifacts only.</param>
/// <param name="ExpiresInSeconds">Effective lifetime; artifacts only.</param>
public sealed record DownloadUrl(
    string Url, string Method, DateTimeOffset ExpiresAt, string? AuthMode = null, IReadOnlyDictionary<string, string>? Headers = null,
    long? ExpiresInSeconds = null);
