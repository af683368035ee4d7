namespace CrowNest.Platform.Commands;

public sealed class CommandEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string ProjectId { get; set; }
    public required string SandboxId { get; set; }
    public required string Command { get; set; }
    public required string Cwd { get; set; }
    public required string State { get; set; }
    public int? ExitCode { get; set; }

    /// <summary>Captured prefix, raw bytes: output may hold what <c>text</c> cannot, such as NUL.</summary>
    public byte[]? Stdout { get; set; }
    public byte[]? Stderr { get; set; }
    public bool StdoutTruncated { get; set; }
    public bool StderrTruncated { get; set; }
    public long? TimeoutMs { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public string? CancelMode { get; set; }
    public DateTimeOffset? CanceledAt { get; set; }
    public string? TerminationSignal { get; set; }
    public string? KilledReason { get; set; }
    public string? FailureCode { get; set; }
    public string? FailureMessage { get; set; }
    public required string CollectStatus { get; set; }

    /// <summary>A <see cref="CollectPlan"/>, or null.</summary>
    public string? Collect { get; set; }

    /// <summary>A list of <see cref="CollectFailure"/>, or null.</summary>
    public string? CollectErrors { get; set; }

    /// <summary>Key of the finished log in object storage; null while it is only on the node, or when there was no output.</summary>
    public string? LogObjectKey { get; set; }

    /// <summary>Sequence numbers of the retained log; 0 when there was no output.</summary>
    public long OldestSeq { get; set; }
    public long LastSeq { get; set; }
}
