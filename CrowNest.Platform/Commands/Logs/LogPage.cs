namespace CrowNest.Platform.Commands.Logs;

/// <summary>The sequence numbers of what is retained of a log; both 0 when there is nothing.</summary>
public readonly record struct LogRange(long OldestSeq, long LatestSeq)
{
    /// <summary>Whether records after <paramref name="afterSeq"/> were dropped (docs/reference/api.md 5.6, <c>stream_gap</c>).</summary>
    public bool IsGapAfter(long afterSeq) => OldestSeq > 0 && afterSeq + 1 < OldestSeq;
}

/// <summary>Consecutive records of a log.</summary>
/// <param name="HasMore">Records with a larger number exist now.</param>
/// <param name="Range">What is retained of the whole log.</param>
public sealed record LogPage(IReadOnlyList<LogRecord> Records, bool HasMore, LogRange Range);

/// <summary>What a follower of a log meets, in order.</summary>
public abstract record LogEvent
{
    private LogEvent()
    {
    }

    /// <summary>The next record; numbers rise by one.</summary>
    public sealed record Chunk(LogRecord Record) : LogEvent;

    /// <summary>The next records are gone: dropped, or lost with Redis. The last event.</summary>
    public sealed record Gap(LogRange Range) : LogEvent;

    /// <summary>All output was delivered and the command's row is final. The last event.</summary>
    public sealed record End : LogEvent
    {
        public static End Instance { get; } = new();
    }
}
