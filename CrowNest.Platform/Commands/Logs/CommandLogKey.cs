using System.Globalization;
using StackExchange.Redis;

namespace CrowNest.Platform.Commands.Logs;

/// <summary>Names of a command's stream and channel in Redis, and its entry ids (docs/protocols.md 4).</summary>
internal static class CommandLogKey
{
    public static RedisKey Stream(string commandId) => $"crownest:cmd:{commandId}";

    public static RedisChannel Channel(string commandId) => new($"crownest:cmd:{commandId}", RedisChannel.PatternMode.Literal);

    /// <summary>Id of a record's entry; the mark of the end is <c>-1</c> after the last one.</summary>
    public static string Entry(long seq) => string.Create(CultureInfo.InvariantCulture, $"{seq}-0");

    public static string EndMark(long lastSeq) => string.Create(CultureInfo.InvariantCulture, $"{lastSeq}-1");

    /// <summary>Splits an entry id.</summary>
    public static (long Seq, bool IsEnd) Parse(string id)
    {
        var dash = id.IndexOf('-', StringComparison.Ordinal);
        return (long.Parse(id.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture), id.AsSpan(dash) is not "-0");
    }
}
