using System.Diagnostics;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files.Archives;

/// <summary>One entry as its headers describe it. The name is not checked for anything but its length.</summary>
internal sealed record TarEntry(
    byte[] Name, byte[] Link, TarKind Kind, uint Mode, long Size, long ModifiedSeconds, uint ModifiedNanoseconds);

/// <summary>Takes what a <see cref="TarReader"/> finds, in order.</summary>
internal interface ITarEntries
{
    void Begin(TarEntry entry);

    void Content(ReadOnlySpan<byte> bytes);

    void End();
}

/// <summary>
/// Reads a tar stream that is pushed into it in pieces of any size (docs/decisions/tar-codec.md). It never holds more than one block
/// and one bounded extended header, whatever the archive claims.
/// </summary>
internal sealed class TarReader(ITarEntries entries, ArchiveLimits limits)
{
    private const int MaxExtended = 1 << 20;

    private readonly byte[] _block = new byte[TarHeader.BlockSize];
    private readonly TarAttributes _attributes = new();
    private State _state;
    private int _held;
    private long _left;
    private int _padding;
    private byte[] _extended = [];
    private int _extendedLength;
    private TarKind _extendedKind;
    private long _counted;
    private long _headers;

    private enum State
    {
        Header,
        Content,
        Extended,
        Padding,
        AfterEnd,
    }

    /// <summary>Entries and bytes of content so far.</summary>
    internal long Entries { get; private set; }

    internal long Bytes { get; private set; }

    /// <exception cref="AgentException">archive_invalid, archive_too_large, and what the entries' taker throws</exception>
    internal void Feed(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int taken = _state switch
            {
                State.Header => TakeHeader(bytes),
                State.Content => TakeContent(bytes),
                State.Extended => TakeExtended(bytes),
                State.Padding => TakePadding(bytes),
                State.AfterEnd => TakeAfterEnd(bytes),
                _ => throw new UnreachableException(),
            };
            bytes = bytes[taken..];
        }
    }

    /// <summary>The stream has ended: was that where an archive ends?</summary>
    internal void Finish()
    {
        if (_state != State.AfterEnd) throw Invalid("it is cut off");
    }

    internal static AgentException Invalid(string why) => new(AgentError.ArchiveInvalid($"The archive cannot be extracted: {why}"));

    private int TakeHeader(ReadOnlySpan<byte> bytes)
    {
        if (_held == 0 && bytes.Length >= TarHeader.BlockSize)
        {
            Header(bytes[..TarHeader.BlockSize]);
            return TarHeader.BlockSize;
        }
        int taken = Math.Min(TarHeader.BlockSize - _held, bytes.Length);
        bytes[..taken].CopyTo(_block.AsSpan(_held));
        _held += taken;
        if (_held == TarHeader.BlockSize)
        {
            _held = 0;
            Header(_block);
        }
        return taken;
    }

    private void Header(ReadOnlySpan<byte> header)
    {
        if (TarHeader.IsZero(header))
        {
            if (_attributes.AnyForNext) throw Invalid("it ends after an extended header");
            _state = State.AfterEnd;
            return;
        }
        if (!TarHeader.HasValidChecksum(header)) throw Invalid("a header is damaged");
        if (!TarHeader.TryNumber(header.Slice(TarHeader.SizeOffset, 12), out long size)) throw Invalid("a size is no number");
        // Headers weigh nothing against the bytes; three (name, link, attributes) may come before an entry.
        if (++_headers > 4 * (limits.MaxEntries + 1)) throw limits.TooManyEntries();
        var kind = (TarKind)header[TarHeader.TypeOffset];
        if (kind is TarKind.Extended or TarKind.GlobalExtended or TarKind.LongName or TarKind.LongLink) BeginExtended(kind, size);
        else BeginEntry(header, kind, size);
    }

    private void BeginExtended(TarKind kind, long size)
    {
        if (size > MaxExtended) throw Invalid($"an extended header has {size} bytes");
        Count(size);
        _extendedKind = kind;
        _extendedLength = 0;
        BeginBody(State.Extended, size);
        if (size == 0) EndExtended();
    }

    private void BeginEntry(ReadOnlySpan<byte> header, TarKind kind, long size)
    {
        if (++Entries > limits.MaxEntries) throw limits.TooManyEntries();
        if (!TarHeader.TryNumber(header.Slice(TarHeader.ModifiedOffset, 12), out long modified)) modified = 0;
        byte[] name = _attributes.Name ?? TarHeader.Name(header);
        byte[] link = _attributes.Link ?? TarHeader.Link(header).ToArray();
        size = _attributes.Size ?? size;
        // The old way to say "directory"; 0 is the old way to say "file".
        if (kind is 0 or TarKind.Contiguous or TarKind.File)
            kind = name is [.., (byte)'/'] ? TarKind.Directory : TarKind.File;
        // Only files have content. Some programs write a size for others, and no program content after it.
        if (kind != TarKind.File) size = 0;
        if (name.Length >= FileCalls.MaxPath || link.Length >= FileCalls.MaxPath) throw Invalid("a name is too long");
        Count(size);
        Bytes += size;
        var entry = new TarEntry(
            name, link, kind, TarHeader.Mode(header), size, _attributes.Modified?.Seconds ?? modified,
            _attributes.Modified?.Nanoseconds ?? 0);
        _attributes.ForgetNext();
        entries.Begin(entry);
        BeginBody(State.Content, size);
        if (size == 0) entries.End();
    }

    private void BeginBody(State state, long size)
    {
        _left = size;
        _padding = (int)(-size & (TarHeader.BlockSize - 1));
        _state = size > 0 ? state : State.Header;
    }

    private int TakeContent(ReadOnlySpan<byte> bytes)
    {
        int taken = (int)Math.Min(_left, bytes.Length);
        entries.Content(bytes[..taken]);
        _left -= taken;
        if (_left == 0)
        {
            entries.End();
            _state = _padding > 0 ? State.Padding : State.Header;
        }
        return taken;
    }

    private int TakeExtended(ReadOnlySpan<byte> bytes)
    {
        int taken = (int)Math.Min(_left, bytes.Length);
        // Grows with what has arrived, not with what was announced.
        int length = _extendedLength + taken;
        if (_extended.Length < length) Array.Resize(ref _extended, Math.Max(length, 2 * _extended.Length));
        bytes[..taken].CopyTo(_extended.AsSpan(_extendedLength));
        _extendedLength = length;
        _left -= taken;
        if (_left == 0)
        {
            _state = _padding > 0 ? State.Padding : State.Header;
            EndExtended();
        }
        return taken;
    }

    private void EndExtended()
    {
        _attributes.Add(_extendedKind, _extended.AsSpan(0, _extendedLength));
        if (_extended.Length > 64 * 1024) _extended = [];
    }

    private int TakePadding(ReadOnlySpan<byte> bytes)
    {
        int taken = Math.Min(_padding, bytes.Length);
        _padding -= taken;
        if (_padding == 0) _state = State.Header;
        return taken;
    }

    /// <summary>Programs fill their last record with zeros, and nothing else follows.</summary>
    private int TakeAfterEnd(ReadOnlySpan<byte> bytes)
    {
        if (!TarHeader.IsZero(bytes)) throw Invalid("something follows its end");
        Count(bytes.Length);
        return bytes.Length;
    }

    private void Count(long bytes)
    {
        if (bytes > limits.MaxBytes - _counted) throw limits.TooManyBytes();
        _counted += bytes;
    }
}
