
namespace CrowNest.Platform.Commands.Logs;

/// <summary>
/// Reads a command's output wherever it is: in Redis while it is young, in the object store afterwards. The row tells which; it may be
/// some moments old. Throws <see cref="LogUnavailableException"/> when what was asked for cannot be read now.
/// </summary>
public interface ICommandLogReader
{
    /// <summary>What is retained.</summary>
    Task<LogRange> GetRangeAsync(CommandRow command, CancellationToken cancellationToken);

    /// <summary>Records after a sequence number, oldest first.</summary>
    /// <param name="afterSeq">Exclusive; null: from the oldest retained record.</param>
    /// <param name="limit">Records at most, 1 to 500.</param>
    Task<LogPage> ReadAsync(CommandRow command, long? afterSeq, int limit, CancellationToken cancellationToken);

    /// <summary>
    /// The records after a sequence number and then live, until the command's end or a gap; without gap and duplicate. It goes on by itself
    /// when Redis was away or came back empty.
    /// </summary>
    /// <param name="afterSeq">Exclusive; null: from the oldest retained record.</param>
    IAsyncEnumerable<LogEvent> FollowAsync(CommandRow command, long? afterSeq, CancellationToken cancellationToken);

    /// <summary>All retained records now, oldest first.</summary>
    IAsyncEnumerable<LogRecord> ReadAllAsync(CommandRow command, CancellationToken cancellationToken);
}

/// <summary>The log exists but cannot be read now: Redis or the object store is away.</summary>
public sealed class LogUnavailableException : Exception
{
    public LogUnavailableException(string message)
        : base(message)
    {
    }

    public LogUnavailableException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
