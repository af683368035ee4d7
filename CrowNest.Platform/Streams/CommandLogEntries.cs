using StackExchange.Redis;

namespace CrowNest.Platform.Streams;

/// <summary>Reads entries of a command's stream.</summary>
internal static class CommandLogEntries
{
    /// <param name="HasEnded">The mark of the end follows the last record.</param>
    public readonly record struct Batch(List<LogRecord> Records, bool HasEnded);

    /// <summary>Records after <paramref name="afterSeq"/>.</summary>
    public static async Task<Batch> ReadAsync(IDatabase database, string commandId, long afterSeq, int limit)
    {
        var result = await database.ExecuteAsync(
            "XRANGE", CommandLogKey.Stream(commandId), CommandLogKey.EndMark(afterSeq), "+", "COUNT", limit);
        return Parse(result);
    }

    public static async Task<LogRange> ReadRangeAsync(IDatabase database, string commandId)
    {
        var key = CommandLogKey.Stream(commandId);
        var first = database.ExecuteAsync("XRANGE", key, "-", "+", "COUNT", 1);
        var last = database.ExecuteAsync("XREVRANGE", key, "+", "-", "COUNT", 2);
        var oldest = Parse(await first).Records;
        var latest = Parse(await last).Records;
        return oldest.Count == 0 || latest.Count == 0 ? default : new LogRange(oldest[0].Seq, latest[0].Seq);
    }

    private static Batch Parse(RedisResult result)
    {
        var entries = (RedisResult[])result!;
        var records = new List<LogRecord>(entries.Length);
        var ended = false;
        foreach (var entry in entries)
        {
            var parts = (RedisResult[])entry!;
            var (seq, isEnd) = CommandLogKey.Parse((string)parts[0]!);
            if (isEnd)
            {
                ended = true;
                continue;
            }

            records.Add(ParseRecord(seq, (RedisResult[])parts[1]!));
        }

        return new Batch(records, ended);
    }

    private static LogRecord ParseRecord(long seq, RedisResult[] fields)
    {
        byte stream = LogRecord.Stdout;
        var createdAt = 0L;
        byte[] payload = [];
        for (var i = 0; i + 1 < fields.Length; i += 2)
        {
            switch ((string)fields[i]!)
            {
                case "s":
                    stream = (byte)(int)fields[i + 1];
                    break;
                case "t":
                    createdAt = (long)fields[i + 1];
                    break;
                case "d":
                    payload = (byte[])fields[i + 1]!;
                    break;
            }
        }

        return new LogRecord { Seq = seq, Stream = stream, CreatedAt = createdAt, Payload = payload };
    }
}
