using System.Buffers;
using CrowNest.Platform.Commands.Logs;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// Reads a spool's numbered records in order while it is written. Records that were dropped before they were read are skipped. Reading from
/// the file instead of being handed the records keeps memory flat however far the reader lags, and costs little: it is in the page cache.
/// </summary>
internal sealed class SpoolReader(CommandSpool spool)
{
    private SpoolSegment? _segment;
    private long _position;

    /// <summary>Starts again at the oldest retained record.</summary>
    public void Rewind()
    {
        _segment = null;
        _position = 0;
    }

    /// <summary>Adds the next records whose number is above <paramref name="afterSeq"/>; none when the end is reached.</summary>
    /// <param name="maxBytes">Bytes to look at, at least one largest record.</param>
    public void Read(List<LogRecord> records, long afterSeq, int maxBytes)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(maxBytes);
        try
        {
            while (records.Count == 0 && TryFindUnread() is { } segment)
            {
                ReadFrom(segment, buffer.AsSpan(0, maxBytes), records, afterSeq);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void ReadFrom(SpoolSegment segment, Span<byte> buffer, List<LogRecord> records, long afterSeq)
    {
        int read;
        try
        {
            read = RandomAccess.Read(segment.File, buffer[..(int)Math.Min(buffer.Length, segment.Length - _position)], _position);
        }
        catch (ObjectDisposedException)
        {
            // Dropped this moment: the next one is the oldest.
            Rewind();
            return;
        }

        var position = 0;
        while (LogRecordHeader.TryRead(buffer[position..read], out var header) && read - position >= LogRecordHeader.Size + header.Length)
        {
            if (header.Seq > afterSeq)
            {
                records.Add(header.ToRecord(buffer.Slice(position + LogRecordHeader.Size, header.Length).ToArray()));
            }

            position += LogRecordHeader.Size + header.Length;
        }

        if (position == 0)
        {
            throw new InvalidDataException("A spool file does not hold a record where one should be.");
        }

        _position += position;
    }

    /// <summary>The segment that holds unread bytes, or null.</summary>
    private SpoolSegment? TryFindUnread()
    {
        if (_segment is not null && _position < _segment.Length)
        {
            return _segment;
        }

        var next = spool.Segments().FirstOrDefault(s => _segment is null || s.Index > _segment.Index);
        if (next is null)
        {
            return null;
        }

        _segment = next;
        _position = 0;
        return next.Length > 0 ? next : null;
    }
}
