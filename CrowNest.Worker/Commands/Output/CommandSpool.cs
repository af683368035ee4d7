using System.Globalization;
using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// A command's retained output on the node's disk (docs/protocols.md 5): files of about 1 MiB in a folder of its own, the oldest dropped
/// when there is more than 10 MiB. Written by the command's pump alone; <see cref="SpoolReader"/> may read meanwhile. Made for the death of
/// this process, not for that of the node, which ends its sandboxes anyway: nothing is synced.
/// </summary>
internal sealed class CommandSpool : IDisposable
{
    private const long SegmentBytes = 1024 * 1024;
    private const int MaxCarryBytes = 3;
    private const string Extension = ".log";

    private readonly string _folder;
    private readonly OutputCapture _capture;
    private readonly Lock _lock = new();
    private readonly List<SpoolSegment> _segments = [];
    private readonly byte[][] _carries = [[], [], []];
    private int _keptCapture = -1;
    private bool _isDisposed;

    private CommandSpool(string folder, OutputCapture capture)
    {
        _folder = folder;
        _capture = capture;
    }

    /// <summary>Number of the last record; 0 when there is none.</summary>
    public long LastSeq { get; private set; }

    /// <summary>Number of the first retained record; 0 when there is none.</summary>
    public long OldestSeq { get; private set; }

    /// <summary>Where to go on in the agent's output.</summary>
    public long ResumeOffset { get; private set; }

    /// <summary>Payload bytes of all records ever appended, and of those taken over.</summary>
    public long AppendedBytes { get; private set; }

    /// <summary>Bytes of a code point that a stream's last record left unfinished and that the agent no longer has.</summary>
    public ReadOnlySpan<byte> Carry(byte stream) => _carries[stream];

    /// <summary>
    /// The spool of a command; what a former process left is taken over, up to the first record that is not whole, and goes into
    /// <paramref name="capture"/>. Nothing is written before the first append.
    /// </summary>
    public static CommandSpool Open(string folder, OutputCapture capture)
    {
        var spool = new CommandSpool(folder, capture);
        if (Directory.Exists(folder))
        {
            spool.Restore();
        }

        return spool;
    }

    /// <summary>Appends whole records.</summary>
    /// <exception cref="IOException">The disk is full or broken; nothing was appended.</exception>
    public void Append(ReadOnlySpan<byte> records)
    {
        var segment = _segments.Count > 0 && _segments[^1].Length < SegmentBytes ? _segments[^1] : AddSegment();
        segment.Append(records);
        lock (_lock)
        {
            Account(segment, records);
        }

        while (_segments.Count > 1 && _segments.Sum(s => s.PayloadBytes) > Limits.RetainedLogBytes)
        {
            DropOldest();
        }
    }

    /// <summary>Segments from the oldest on, for a reader; none once it is closed.</summary>
    internal SpoolSegment[] Segments()
    {
        lock (_lock)
        {
            return _isDisposed ? [] : [.. _segments];
        }
    }

    /// <summary>All retained records, encoded without the unnumbered ones: the log object.</summary>
    public byte[] ToLogObject()
    {
        var segments = Segments();
        using var encoded = new MemoryStream((int)segments.Sum(s => s.Length));
        Span<byte> header = stackalloc byte[LogRecordHeader.Size];
        foreach (var record in segments.SelectMany(ReadSegment))
        {
            new LogRecordHeader(record.Payload.Length, record.Seq, record.Stream, record.CreatedAt, 0).Write(header);
            encoded.Write(header);
            encoded.Write(record.Payload.Span);
        }

        return encoded.ToArray();
    }

    /// <summary>Removes it from the disk.</summary>
    public void Delete()
    {
        Dispose();
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            foreach (var segment in _segments)
            {
                segment.Dispose();
            }
        }
    }

    private static IEnumerable<LogRecord> ReadSegment(SpoolSegment segment)
    {
        var bytes = ReadWhole(segment);
        for (var position = 0; LogRecordHeader.TryRead(bytes.AsSpan(position), out var header);)
        {
            if (header.Seq > 0)
            {
                yield return header.ToRecord(bytes.AsMemory(position + LogRecordHeader.Size, header.Length));
            }

            position += LogRecordHeader.Size + header.Length;
        }
    }

    private static byte[] ReadWhole(SpoolSegment segment)
    {
        var bytes = new byte[segment.Length];
        for (var position = 0; position < bytes.Length;)
        {
            var read = RandomAccess.Read(segment.File, bytes.AsSpan(position), position);
            if (read == 0)
            {
                throw new IOException("A spool file is shorter than what was written to it.");
            }

            position += read;
        }

        return bytes;
    }

    private SpoolSegment AddSegment()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var index = _segments.Count == 0 ? 1 : _segments[^1].Index + 1;
        if (_segments.Count == 0)
        {
            Directory.CreateDirectory(_folder);
        }

        var segment = OpenSegment(index, FileMode.Create);
        Span<byte> carry = stackalloc byte[LogRecordHeader.Size + MaxCarryBytes];
        for (byte stream = LogRecord.Stdout; stream <= LogRecord.Stderr; stream++)
        {
            if (_carries[stream] is { Length: > 0 } bytes)
            {
                // The segment that holds them so far will be dropped some day.
                new LogRecordHeader(bytes.Length, 0, stream, 0, ResumeOffset).Write(carry);
                bytes.CopyTo(carry[LogRecordHeader.Size..]);
                segment.Append(carry[..(LogRecordHeader.Size + bytes.Length)]);
            }
        }

        lock (_lock)
        {
            _segments.Add(segment);
        }

        return segment;
    }

    private SpoolSegment OpenSegment(long index, FileMode mode)
    {
        var path = Path.Combine(_folder, index.ToString("d10", CultureInfo.InvariantCulture) + Extension);
        return new SpoolSegment(index, path, File.OpenHandle(path, mode, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));
    }

    /// <returns>Bytes of whole, fitting records.</returns>
    private int Account(SpoolSegment segment, ReadOnlySpan<byte> records)
    {
        var position = 0;
        while (LogRecordHeader.TryRead(records[position..], out var header)
            && records.Length - position >= LogRecordHeader.Size + header.Length
            && (header.Seq == 0 ? header.Length <= MaxCarryBytes : LastSeq == 0 || header.Seq == LastSeq + 1))
        {
            ResumeOffset = header.AgentOffset;
            if (header.Seq == 0)
            {
                _carries[header.Stream] = records.Slice(position + LogRecordHeader.Size, header.Length).ToArray();
            }
            else
            {
                _carries[header.Stream] = [];
                LastSeq = header.Seq;
                OldestSeq = OldestSeq == 0 ? header.Seq : OldestSeq;
                segment.FirstSeq = segment.FirstSeq == 0 ? header.Seq : segment.FirstSeq;
                segment.PayloadBytes += header.Length;
                AppendedBytes += header.Length;
            }

            position += LogRecordHeader.Size + header.Length;
        }

        return position;
    }

    private void DropOldest()
    {
        // What the row is to show of the dropped part is kept apart, or a restart would lose it.
        if (_keptCapture != _capture.Version)
        {
            KeptCapture.Write(_folder, _capture, LastSeq);
            _keptCapture = _capture.Version;
        }

        SpoolSegment oldest;
        lock (_lock)
        {
            oldest = _segments[0];
            _segments.RemoveAt(0);
            OldestSeq = _segments.Select(s => s.FirstSeq).FirstOrDefault(seq => seq > 0);
        }

        oldest.Dispose();
        File.Delete(oldest.Path);
    }

    private void Restore()
    {
        var capturedThrough = KeptCapture.Read(_folder, _capture);
        _keptCapture = capturedThrough > 0 ? _capture.Version : -1;
        var indexes = Directory.EnumerateFiles(_folder, "*" + Extension)
            .Select(path => Path.GetFileNameWithoutExtension(path))
            .Select(name => long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : 0)
            .Where(index => index > 0).Order().ToList();
        var isWhole = true;
        foreach (var index in indexes)
        {
            var segment = OpenSegment(index, FileMode.Open);
            if (!isWhole)
            {
                // Behind a torn record nothing was acknowledged: the agent has it all.
                segment.Dispose();
                File.Delete(segment.Path);
                continue;
            }

            var length = RandomAccess.GetLength(segment.File);
            segment.Truncate(length);
            var bytes = ReadWhole(segment);
            var whole = Account(segment, bytes);
            isWhole = whole == length;
            segment.Truncate(whole);
            _segments.Add(segment);
            foreach (var record in ReadSegment(segment).Where(r => r.Seq > capturedThrough))
            {
                _capture.Add(record.Stream, record.Payload.Span);
            }
        }
    }
}
