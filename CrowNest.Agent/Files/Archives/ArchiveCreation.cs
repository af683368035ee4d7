using System.IO.Compression;
using System.Text;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files.Archives;

/// <summary>
/// Packs a directory's content as .tar.gz, a block at a time. Runs on <see cref="FileThreads"/>. A file up to a block long is read
/// before its header is written; of a longer one that shrinks meanwhile the rest is zeros, as tar has it, one that grows is cut. What
/// has vanished is left out; what may not be read fails the archive.
/// </summary>
internal sealed class ArchiveCreation : IDisposable
{
    /// <summary>A path of this many levels is as long as paths get.</summary>
    private const int MaxDepth = FileCalls.MaxPath / 2;

    private readonly TreeWalk _walk;
    private readonly MemoryStream _packed = new(FileBuffer.Size);
    private readonly GZipStream _gzip;
    private readonly byte[] _buffer = FileBuffer.Rent();
    private readonly byte[] _header = new byte[TarHeader.BlockSize];
    private Descriptor? _file;
    private long _offset;
    private long _size;
    private bool _isEnded;

    internal ArchiveCreation(Workspace workspace, FilePath path)
    {
        var root = workspace.OpenDirectory(path);
        _walk = new TreeWalk(root, MaxDepth, (result, directory) => throw FileErrors.Of(result, Show(directory)));
        _gzip = new GZipStream(_packed, CompressionLevel.Fastest, leaveOpen: true);
    }

    /// <summary>What the last call of <see cref="PackBlock"/> has packed.</summary>
    internal ReadOnlyMemory<byte> Packed => _packed.GetBuffer().AsMemory(0, (int)_packed.Length);

    /// <summary>Packs until there is a block to send; false when that was the last.</summary>
    /// <exception cref="AgentException">forbidden, runtime_error</exception>
    internal bool PackBlock()
    {
        _packed.SetLength(0);
        // Bounded also by what is read: zeros pack to almost nothing, and others wait for this thread.
        for (int read = 0; _packed.Length < FileBuffer.Size / 2 && read < 4 * FileBuffer.Size && !_isEnded;)
            read += _file is null ? PackNext() : PackContent();
        return !_isEnded;
    }

    public void Dispose()
    {
        _file?.Dispose();
        _walk.Dispose();
        _gzip.Dispose();
        FileBuffer.Return(_buffer);
    }

    private int PackNext()
    {
        if (!_walk.Next(out var entry))
        {
            _gzip.Write(new byte[2 * TarHeader.BlockSize]);
            _gzip.Dispose();
            _isEnded = true;
            return 0;
        }
        switch (entry.Node.Kind)
        {
            case NodeKind.Directory:
                WriteHeaders([.. entry.Path, (byte)'/'], default, TarKind.Directory, entry.Node, 0);
                break;
            case NodeKind.Link:
                PackLink(entry);
                break;
            case NodeKind.File:
                return BeginFile(entry);
            default:
                break;
        }
        return TarHeader.BlockSize;
    }

    private void PackLink(in TreeEntry entry)
    {
        Span<byte> target = stackalloc byte[FileCalls.MaxPath];
        int length = FileCalls.ReadLink(entry.Directory, entry.Name, target);
        // Gone, or no longer a link.
        if (length > 0) WriteHeaders(entry.Path, target[..length], TarKind.Link, entry.Node, 0);
    }

    private int BeginFile(in TreeEntry entry)
    {
        // Held first: what is opened is what was looked at.
        int held = FileCalls.Open(entry.Directory, entry.Name, FileCalls.O_PATH | FileCalls.O_NOFOLLOW);
        if (held == -FileCalls.ENOENT) return 0;
        if (held < 0) throw FileErrors.Of(held, Show(entry.Path));
        using var found = new Descriptor(held);
        int result = FileCalls.Stat(held, out var node);
        if (result < 0) throw FileErrors.Of(result, Show(entry.Path));
        if (node.Kind != NodeKind.File) return 0;
        int fd = FileCalls.Reopen(held, FileCalls.O_RDONLY);
        if (fd == -FileCalls.ENOENT) return 0;
        if (fd < 0) throw FileErrors.Of(fd, Show(entry.Path));
        var file = new Descriptor(fd);
        if (node.Size <= _buffer.Length)
        {
            using (file)
            {
                int length = ReadWhole(file, (int)node.Size, entry.Path);
                WriteHeaders(entry.Path, default, TarKind.File, node, length);
                _gzip.Write(_buffer, 0, length);
                Pad(length);
                return length + TarHeader.BlockSize;
            }
        }
        _file = file;
        _offset = 0;
        _size = node.Size;
        WriteHeaders(entry.Path, default, TarKind.File, node, node.Size);
        return TarHeader.BlockSize;
    }

    private int ReadWhole(Descriptor file, int size, byte[] path)
    {
        int length = 0;
        while (length < size)
        {
            int n = FileCalls.Read(file.Fd, _buffer.AsSpan(length, size - length), length);
            if (n < 0) throw FileErrors.Of(n, Show(path));
            if (n == 0) break;
            length += n;
        }
        return length;
    }

    private int PackContent()
    {
        int wanted = (int)Math.Min(_buffer.Length, _size - _offset);
        int n = FileCalls.Read(_file!.Fd, _buffer.AsSpan(0, wanted), _offset);
        if (n < 0) throw FileErrors.Of(n, "a file of the archive");
        if (n == 0)
        {
            _buffer.AsSpan(0, wanted).Clear();
            n = wanted;
        }
        _gzip.Write(_buffer, 0, n);
        _offset += n;
        if (_offset < _size) return n;
        Pad(_size);
        _file.Dispose();
        _file = null;
        return n;
    }

    private void WriteHeaders(ReadOnlySpan<byte> name, ReadOnlySpan<byte> link, TarKind kind, in FileNode node, long size)
    {
        bool isLongName = name.Length > TarHeader.NameLength, isLongLink = link.Length > TarHeader.NameLength;
        if (isLongName || isLongLink || size > TarHeader.MaxOctalSize)
        {
            var records = new MemoryStream();
            if (isLongName) AddRecord(records, "path"u8, name);
            if (isLongLink) AddRecord(records, "linkpath"u8, link);
            if (size > TarHeader.MaxOctalSize) AddRecord(records, "size"u8, Encoding.ASCII.GetBytes($"{size}"));
            TarHeader.Write(_header, "PaxHeader"u8, default, TarKind.Extended, 0x1A4, records.Length, node.ModifiedSeconds);
            _gzip.Write(_header);
            _gzip.Write(records.GetBuffer(), 0, (int)records.Length);
            Pad(records.Length);
        }
        TarHeader.Write(_header, name, link, kind, node.Permissions, size, node.ModifiedSeconds);
        _gzip.Write(_header);
    }

    // "30 path=…\n": the number counts the record from its own first digit to the newline.
    private static void AddRecord(MemoryStream records, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        int rest = key.Length + value.Length + 3, length = rest;
        while (length != rest + Digits(length)) length = rest + Digits(length);
        records.Write(Encoding.ASCII.GetBytes($"{length} "));
        records.Write(key);
        records.WriteByte((byte)'=');
        records.Write(value);
        records.WriteByte((byte)'\n');
    }

    private static int Digits(int number) => number < 10 ? 1 : 1 + Digits(number / 10);

    private void Pad(long size)
    {
        int padding = (int)(-size & (TarHeader.BlockSize - 1));
        _header.AsSpan().Clear();
        _gzip.Write(_header, 0, padding);
    }

    private static string Show(byte[] path) => Encoding.UTF8.GetString(path);
}
