using StackExchange.Redis;

namespace CrowNest.Platform.Commands.Logs;

/// <summary>The entries of a command's stream.</summary>
internal static class CommandLogEntries
{
    private static readonly RedisValue Stream = "s";
    private static readonly RedisValue CreatedAt = "t";
    private static readonly RedisValue Payload = "d";
    private static readonly NameValueEntry[] End = [new("end", 1)];

    /// <param name="HasEnded">The mark of the end follows the last record.</param>
    public readonly record struct Batch(List<LogRecord> Records, bool HasEnded);

    /// <summary>The entry of a record, or the mark of the end after the last one.</summary>
    public readonly record struct Addition(string Id, NameValueEntry[] Fields)
    {
        public static Addition Of(LogRecord record) => new(
            CommandLogKey.Entry(record.Seq),
            [new(Stream, (int)record.Stream), new(CreatedAt, record.CreatedAt), new(Payload, record.Payload)]);

        public static Addition EndAfter(long lastSeq) => new(CommandLogKey.EndMark(lastSeq), End);
    }

    /// <summary>Records after <paramref name="afterSeq"/>.</summary>
    public static async Task<Batch> ReadAsync(IDatabase database, string commandId, long afterSeq, int limit) =>
        Parse(await database.StreamRangeAsync(CommandLogKey.Stream(commandId), CommandLogKey.EndMark(afterSeq), count: limit));

    public static async Task<LogRange> ReadRangeAsync(IDatabase database, string commandId)
    {
        var key = CommandLogKey.Stream(commandId);
        var first = database.StreamRangeAsync(key, count: 1);
        // The last but one where the last is the mark of the end.
        var last = database.StreamRangeAsync(key, count: 2, messageOrder: Order.Descending);
        var oldest = Parse(await first).Records;
        var latest = Parse(await last).Records;
        return oldest.Count == 0 || latest.Count == 0 ? default : new LogRange(oldest[0].Seq, latest[0].Seq);
    }

    private static Batch Parse(StreamEntry[] entries)
    {
        var records = new List<LogRecord>(entries.Length);
        var ended = false;
        foreach (var entry in entries)
        {
            var (seq, isEnd) = CommandLogKey.Parse(entry.Id!);
            if (isEnd)
            {
                ended = true;
                continue;
            }

            records.Add(new LogRecord
            {
                Seq = seq,
                Stream = (byte)(int)entry[Stream],
                CreatedAt = (long)entry[CreatedAt],
                Payload = entry[Payload],
            });
        }

        return new Batch(records, ended);
    }
}
