using System.Globalization;
using System.Text;

namespace CrowNest.Agent.Files.Archives;

/// <summary>What extended headers say of the entry that follows: PAX records ("29 path=…\n") and GNU's long names.</summary>
internal sealed class TarAttributes
{
    internal byte[]? Name { get; private set; }

    internal byte[]? Link { get; private set; }

    internal long? Size { get; private set; }

    internal (long Seconds, uint Nanoseconds)? Modified { get; private set; }

    /// <summary>Whether an entry has been promised.</summary>
    internal bool AnyForNext { get; private set; }

    internal void ForgetNext()
    {
        Name = null;
        Link = null;
        Size = null;
        Modified = null;
        AnyForNext = false;
    }

    internal void Add(TarKind kind, ReadOnlySpan<byte> content)
    {
        AnyForNext |= kind != TarKind.GlobalExtended;
        switch (kind)
        {
            case TarKind.LongName:
                Name = TarHeader.Text(content).ToArray();
                break;
            case TarKind.LongLink:
                Link = TarHeader.Text(content).ToArray();
                break;
            default:
                AddRecords(content, kind == TarKind.GlobalExtended);
                break;
        }
    }

    private void AddRecords(ReadOnlySpan<byte> records, bool global)
    {
        while (!records.IsEmpty)
        {
            int space = records.IndexOf((byte)' ');
            if (space is < 1 or > 7
                || !int.TryParse(records[..space], NumberStyles.None, CultureInfo.InvariantCulture, out int length)
                || length <= space + 1 || length > records.Length || records[length - 1] != '\n')
                throw TarReader.Invalid("an extended header is damaged");
            var record = records[(space + 1)..(length - 1)];
            int equals = record.IndexOf((byte)'=');
            if (equals < 1) throw TarReader.Invalid("an extended header is damaged");
            AddRecord(record[..equals], record[(equals + 1)..], global);
            records = records[length..];
        }
    }

    private void AddRecord(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool global)
    {
        // git writes a global comment; a name or size for all entries that follow has no sensible use.
        bool names = key.SequenceEqual("path"u8) || key.SequenceEqual("linkpath"u8) || key.SequenceEqual("size"u8);
        if (global)
        {
            if (names) throw TarReader.Invalid("a global header names a file");
            return;
        }
        if (key.StartsWith("GNU.sparse."u8)) throw TarReader.Invalid("sparse files are not supported");
        if (names && value.Contains((byte)0)) throw TarReader.Invalid("a name contains NUL");
        // An empty value takes back what came before.
        if (key.SequenceEqual("path"u8)) Name = value.IsEmpty ? null : value.ToArray();
        else if (key.SequenceEqual("linkpath"u8)) Link = value.IsEmpty ? null : value.ToArray();
        else if (key.SequenceEqual("size"u8)) Size = value.IsEmpty ? null : ParseSize(value);
        else if (key.SequenceEqual("mtime"u8)) Modified = value.IsEmpty ? null : ParseTime(value);
    }

    private static long ParseSize(ReadOnlySpan<byte> value) =>
        long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long size)
            ? size
            : throw TarReader.Invalid("a size is no number");

    private static (long Seconds, uint Nanoseconds) ParseTime(ReadOnlySpan<byte> value)
    {
        const NumberStyles Signed = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint;
        if (value.Length > 40 || !decimal.TryParse(value, Signed, CultureInfo.InvariantCulture, out decimal time)
            || time is > long.MaxValue / 2 or < long.MinValue / 2)
            throw TarReader.Invalid($"{Encoding.UTF8.GetString(value[..Math.Min(value.Length, 40)])} is no time");
        decimal seconds = Math.Floor(time);
        return ((long)seconds, (uint)((time - seconds) * 1_000_000_000));
    }
}
