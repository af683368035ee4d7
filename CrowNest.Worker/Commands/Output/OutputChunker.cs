using System.Buffers;
using System.Text;
using System.Text.Unicode;
using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// Turns raw output into log records (docs/protocols.md 5): at most 16 KiB of UTF-8 each, invalid bytes replaced, no code point split.
/// The bytes of an unfinished code point at the end of a stream wait for the rest of it. Records are built in place, ready to be spooled.
/// </summary>
internal sealed class OutputChunker(TimeProvider clock, OutputCapture capture) : IDisposable
{
    /// <summary>A flood's batch; a larger one falls out of the processor's cache before it is written.</summary>
    private const int InitialBytes = 8 * 1024;
    private const int LongestCodePoint = 4;

    private static ReadOnlySpan<byte> Replacement => [0xEF, 0xBF, 0xBD];

    private readonly UnfinishedCodePoint[] _tails = [default, default, default];
    private byte[] _buffer = [];

    /// <summary>Bytes of finished records at the start of the buffer; the open record follows.</summary>
    private int _closed;
    private byte _openStream;
    private int _openLength;
    private long _openOffset;

    /// <summary>Raw bytes taken.</summary>
    private long _offset;

    /// <summary>The last number given to a record.</summary>
    public long LastSeq { get; private set; }

    /// <summary>Everything before it lies in finished records: what the agent may forget, and where a reconnect goes on.</summary>
    public long ResumeOffset { get; private set; }

    /// <summary>Finished records, encoded; valid until the next change.</summary>
    public ReadOnlySpan<byte> Closed => _buffer.AsSpan(0, _closed);

    public bool HasOpen => _openLength > 0;

    /// <summary>When the open record got its first byte, as the clock's timestamp.</summary>
    public long OpenSince { get; private set; }

    /// <summary>Goes on after a restart.</summary>
    public void Restore(long lastSeq, long offset, ReadOnlySpan<byte> stdoutTail, ReadOnlySpan<byte> stderrTail)
    {
        LastSeq = lastSeq;
        _offset = ResumeOffset = offset;
        _tails[LogRecord.Stdout] = UnfinishedCodePoint.Of(stdoutTail, carried: stdoutTail.Length);
        _tails[LogRecord.Stderr] = UnfinishedCodePoint.Of(stderrTail, carried: stderrTail.Length);
    }

    /// <summary>Forgets what is not in finished records and goes on at another offset: the agent no longer has what lies between.</summary>
    public void SkipTo(long offset)
    {
        CloseOpen();
        _tails[LogRecord.Stdout] = _tails[LogRecord.Stderr] = default;
        _offset = ResumeOffset = offset;
    }

    /// <summary>Goes back to <see cref="ResumeOffset"/> before a reconnect; the agent sends the rest again.</summary>
    public void Rewind()
    {
        CloseOpen();
        foreach (ref var tail in _tails.AsSpan())
        {
            tail = tail.Carried;
        }

        _offset = ResumeOffset;
    }

    /// <summary>Takes the next bytes of the combined output.</summary>
    public void Add(byte stream, ReadOnlySpan<byte> raw)
    {
        if (_openStream != stream)
        {
            CloseOpen();
            _openStream = stream;
        }

        var other = stream == LogRecord.Stdout ? LogRecord.Stderr : LogRecord.Stdout;
        if (!_tails[other].IsCarried)
        {
            // The agent will be told to forget these bytes, because others behind them are finished.
            WriteCarry(other);
        }

        var position = JoinTail(stream, raw);
        while (position < raw.Length)
        {
            var room = Limits.LogChunkBytes - _openLength;
            var slice = raw[position..Math.Min(raw.Length, position + room)];
            var whole = slice[..^UnfinishedBytes(slice)];
            if (whole.Length == 0)
            {
                if (position + slice.Length == raw.Length)
                {
                    _tails[stream] = UnfinishedCodePoint.Of(slice, carried: 0);
                    break;
                }

                CloseOpen();
                _openStream = stream;
                continue;
            }

            var taken = Utf8.IsValid(whole) ? Append(whole) : AppendReplacing(whole);
            position += taken;
            _openOffset = _offset + position;
            if (taken < whole.Length || _openLength == Limits.LogChunkBytes)
            {
                CloseOpen();
                _openStream = stream;
            }
        }

        _offset += raw.Length;
    }

    /// <summary>Finishes the open record.</summary>
    public void CloseOpen()
    {
        if (_openLength == 0)
        {
            return;
        }

        LastSeq++;
        var header = new LogRecordHeader(_openLength, LastSeq, _openStream, clock.GetUtcNow().ToUnixTimeMilliseconds(), _openOffset);
        header.Write(_buffer.AsSpan(_closed));
        capture.Add(_openStream, _buffer.AsSpan(_closed + LogRecordHeader.Size, _openLength));
        _closed += LogRecordHeader.Size + _openLength;
        _openLength = 0;
        ResumeOffset = _openOffset;
    }

    /// <summary>The command has ended: unfinished code points will not be finished, and everything is closed.</summary>
    public void End()
    {
        CloseOpen();
        foreach (var stream in (ReadOnlySpan<byte>)[LogRecord.Stdout, LogRecord.Stderr])
        {
            if (_tails[stream].Length > 0)
            {
                _tails[stream] = default;
                _openStream = stream;
                _openOffset = _offset;
                Append(Replacement);
                CloseOpen();
            }
        }

        ResumeOffset = _offset;
    }

    /// <summary>The finished records have been spooled.</summary>
    public void Clear()
    {
        if (_openLength == 0)
        {
            // A command may be silent for hours: it holds no buffer meanwhile.
            Release();
        }
        else
        {
            _buffer.AsSpan(_closed, LogRecordHeader.Size + _openLength).CopyTo(_buffer);
        }

        _closed = 0;
    }

    public void Dispose() => Release();

    /// <summary>Bytes at the end that begin a code point without finishing it.</summary>
    private static int UnfinishedBytes(ReadOnlySpan<byte> bytes)
    {
        for (var back = 1; back < LongestCodePoint && back <= bytes.Length; back++)
        {
            var b = bytes[^back];
            if ((b & 0xC0) != 0x80)
            {
                return b >= 0xC0 && Rune.DecodeFromUtf8(bytes[^back..], out _, out _) == OperationStatus.NeedMoreData ? back : 0;
            }
        }

        return 0;
    }

    /// <summary>Finishes the code point that the last bytes of this stream began.</summary>
    /// <returns>Bytes of <paramref name="raw"/> that it took.</returns>
    private int JoinTail(byte stream, ReadOnlySpan<byte> raw)
    {
        ref var tail = ref _tails[stream];
        if (tail.Length == 0 || raw.Length == 0)
        {
            return 0;
        }

        Span<byte> joined = stackalloc byte[2 * LongestCodePoint];
        var held = tail.CopyTo(joined);
        var count = Math.Min(LongestCodePoint, raw.Length);
        raw[..count].CopyTo(joined[held..]);
        joined = joined[..(held + count)];
        var position = 0;
        while (position < held)
        {
            var status = Rune.DecodeFromUtf8(joined[position..], out _, out var consumed);
            if (status == OperationStatus.NeedMoreData)
            {
                tail = UnfinishedCodePoint.Of(joined[position..], tail.CarriedLength);
                return raw.Length;
            }

            Append(status == OperationStatus.Done ? joined.Slice(position, consumed) : Replacement);
            position += consumed;
        }

        tail = default;
        _openOffset = _offset + position - held;
        return position - held;
    }

    private int Append(ReadOnlySpan<byte> valid)
    {
        if (_openLength + valid.Length > Limits.LogChunkBytes)
        {
            var stream = _openStream;
            CloseOpen();
            _openStream = stream;
        }

        if (_openLength == 0)
        {
            OpenSince = clock.GetTimestamp();
        }

        Reserve(valid.Length);
        valid.CopyTo(_buffer.AsSpan(_closed + LogRecordHeader.Size + _openLength));
        _openLength += valid.Length;
        return valid.Length;
    }

    /// <returns>Bytes taken: fewer than given when the record is full before.</returns>
    private int AppendReplacing(ReadOnlySpan<byte> bytes)
    {
        var position = 0;
        while (position < bytes.Length)
        {
            var rest = bytes[position..];
            var ascii = rest.IndexOfAnyExceptInRange((byte)0, (byte)0x7F);
            ReadOnlySpan<byte> next;
            int consumed;
            if (ascii != 0)
            {
                next = ascii < 0 ? rest : rest[..ascii];
                next = next[..Math.Min(next.Length, Limits.LogChunkBytes - _openLength)];
                consumed = next.Length;
            }
            else
            {
                next = Rune.DecodeFromUtf8(rest, out _, out consumed) == OperationStatus.Done ? rest[..consumed] : Replacement;
            }

            if (next.Length == 0 || _openLength + next.Length > Limits.LogChunkBytes)
            {
                break;
            }

            Append(next);
            position += consumed;
        }

        return position;
    }

    /// <summary>A record without a number: it repeats the bytes of an unfinished code point that the agent will forget.</summary>
    private void WriteCarry(byte stream)
    {
        Reserve(LongestCodePoint);
        ref var tail = ref _tails[stream];
        var length = tail.CopyTo(_buffer.AsSpan(_closed + LogRecordHeader.Size));
        new LogRecordHeader(length, 0, stream, clock.GetUtcNow().ToUnixTimeMilliseconds(), _offset).Write(_buffer.AsSpan(_closed));
        _closed += LogRecordHeader.Size + length;
        tail = tail with { CarriedLength = length };
        ResumeOffset = _offset;
    }

    private void Reserve(int payload)
    {
        var needed = _closed + LogRecordHeader.Size + _openLength + payload;
        if (needed > _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(Math.Max(needed, InitialBytes), 2 * _buffer.Length));
            _buffer.AsSpan(0, Math.Min(_buffer.Length, _closed + LogRecordHeader.Size + _openLength)).CopyTo(larger);
            Release();
            _buffer = larger;
        }
    }

    private void Release()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }
    }
}
