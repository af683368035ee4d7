using System.Buffers.Binary;

namespace CrowNest.Agent.Files;

/// <summary>The names in an open directory, as bytes, in the file system's order and without <c>.</c> and <c>..</c>.</summary>
internal sealed class DirectoryReader(Descriptor directory, int bufferSize) : IDisposable
{
    // struct linux_dirent64 { u64 d_ino; s64 d_off; u16 d_reclen; u8 d_type; char d_name[]; }
    private const int LengthOffset = 16, NameOffset = 19;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(bufferSize);
    private int _at;
    private int _end;

    internal int Fd => directory.Fd;

    /// <summary>The next name, good until the next call; 0 at the end, 1 for a name, or a negative errno.</summary>
    internal int Next(out ReadOnlySpan<byte> name)
    {
        name = default;
        while (true)
        {
            if (_at == _end)
            {
                _at = 0;
                _end = 0;
                int n = FileCalls.ReadDirectory(directory.Fd, _buffer);
                if (n <= 0) return n;
                _end = n;
            }
            var record = _buffer.AsSpan(_at, _end - _at);
            int length = BinaryPrimitives.ReadUInt16LittleEndian(record[LengthOffset..]);
            _at += length;
            var found = record[NameOffset..length];
            found = found[..found.IndexOf((byte)0)];
            if (found is [(byte)'.'] or [(byte)'.', (byte)'.']) continue;
            name = found;
            return 1;
        }
    }

    public void Dispose() => directory.Dispose();
}
