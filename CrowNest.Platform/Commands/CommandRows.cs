using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Database;

namespace CrowNest.Platform.Commands;

/// <summary>A command row.</summary>
public sealed record CommandRow
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string SandboxId { get; init; }
    public required string Command { get; init; }
    public required string Cwd { get; init; }

    /// <summary>One of <see cref="CommandStatus"/>.</summary>
    public required string State { get; init; }
    public int? ExitCode { get; init; }

    /// <summary>Captured prefix, raw bytes; absent in lists.</summary>
    public byte[]? Stdout { get; init; }
    public byte[]? Stderr { get; init; }
    public bool StdoutTruncated { get; init; }
    public bool StderrTruncated { get; init; }
    public long? TimeoutMs { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public string? CancelMode { get; init; }
    public DateTimeOffset? CanceledAt { get; init; }
    public string? TerminationSignal { get; init; }
    public string? KilledReason { get; init; }

    /// <summary>Contract code of a <c>failed</c> command: a path error of its <c>cwd</c>, or <c>runtime_error</c>.</summary>
    public string? FailureCode { get; init; }
    public string? FailureMessage { get; init; }
    public required string CollectStatus { get; init; }

    /// <summary>What to collect; null: nothing.</summary>
    public CollectPlan? Collect { get; init; }
    public IReadOnlyList<CollectFailure> CollectErrors { get; init; } = [];
    public string? LogObjectKey { get; init; }

    /// <summary>First and last retained sequence number of a finished command's log; 0 when it had no output.</summary>
    public long OldestSeq { get; init; }
    public long LastSeq { get; init; }

    /// <summary>There was output, and it is past its retention (<see cref="LogRetentionStore"/>).</summary>
    public bool IsLogExpired => LastSeq > 0 && OldestSeq > LastSeq;

    public bool IsFinal => CommandStatus.IsFinal(State);
}

/// <summary>What the API writes when it accepts a command.</summary>
public sealed record NewCommand
{
    public required string Id { get; init; }
    public required string SandboxId { get; init; }
    public required string Command { get; init; }
    public required string Cwd { get; init; }
    public long? TimeoutMs { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>What to collect; null: nothing.</summary>
    public CollectPlan? Collect { get; init; }

    /// <summary>The caller hears nothing before the final row is written, whose commit then carries this one (<see cref="LazyCommit"/>).</summary>
    public bool AnswerWaitsForEnd { get; init; }
}

/// <summary>How a command ended.</summary>
public sealed record CommandEnd
{
    /// <summary>A final state.</summary>
    public required string State { get; init; }
    public required DateTimeOffset FinishedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public int? ExitCode { get; init; }
    public byte[] Stdout { get; init; } = [];
    public byte[] Stderr { get; init; } = [];
    public bool StdoutTruncated { get; init; }
    public bool StderrTruncated { get; init; }
    public string? CancelMode { get; init; }
    public DateTimeOffset? CanceledAt { get; init; }
    public string? TerminationSignal { get; init; }
    public string? KilledReason { get; init; }
    public string? FailureCode { get; init; }
    public string? FailureMessage { get; init; }
    public long OldestSeq { get; init; }
    public long LastSeq { get; init; }
}

/// <summary>What became of an insert.</summary>
/// <param name="Added">The command is queued.</param>
/// <param name="SandboxState">Stored state of the sandbox; <c>expiring</c> when it is past its deadline.</param>
public sealed record CommandInsert(bool Added, string SandboxState, string? WorkerId);
