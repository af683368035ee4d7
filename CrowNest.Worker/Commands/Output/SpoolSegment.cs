using Microsoft.Win32.SafeHandles;

namespace CrowNest.Worker.Commands.Output;

/// <summary>One file of a spool.</summary>
internal sealed class SpoolSegment(long index, string path, SafeFileHandle file) : IDisposable
{
    private long _length;

    public long Index { get; } = index;
    public string Path { get; } = path;
    public SafeFileHandle File { get; } = file;

    /// <summary>Bytes of whole records.</summary>
    public long Length => Volatile.Read(ref _length);

    /// <summary>Bytes of the payloads of its numbered records.</summary>
    public long PayloadBytes { get; set; }

    /// <summary>Number of its first record; 0 while it has none.</summary>
    public long FirstSeq { get; set; }

    public void Append(ReadOnlySpan<byte> records)
    {
        RandomAccess.Write(File, records, _length);
        Volatile.Write(ref _length, _length + records.Length);
    }

    /// <summary>Takes over what a former process wrote, and cuts off what is not a whole record.</summary>
    public void Truncate(long length)
    {
        RandomAccess.SetLength(File, length);
        _length = length;
    }

    public void Dispose() => File.Dispose();
}
