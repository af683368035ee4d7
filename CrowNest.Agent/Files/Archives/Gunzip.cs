using System.Runtime.InteropServices;

namespace CrowNest.Agent.Files.Archives;

/// <summary>Takes pieces of what was compressed.</summary>
internal delegate void Unpacked(ReadOnlySpan<byte> bytes);

/// <summary>
/// Unpacks a gzip stream that is pushed into it. Unlike <see cref="System.IO.Compression.GZipStream"/> it tells a complete stream from
/// one that was cut off or continues with something else (docs/decisions/tar-codec.md). Same zlib, by the same entry points.
/// </summary>
internal sealed unsafe partial class Gunzip : IDisposable
{
    private const int StreamEnd = 1, NeedsMore = -5, NoFlush = 0, OutOfMemory = -4;

    // 15 bits of window, which is the most there is, and 16 for the gzip wrapper, whose checksum zlib verifies.
    private const int GzipWindow = 15 + 16;

    private readonly ZStream* _stream = (ZStream*)NativeMemory.AllocZeroed((nuint)sizeof(ZStream));
    private bool _isOpen;
    private bool _isComplete;
    private bool _begun;

    // The layout of the framework's shim around z_stream.
    [StructLayout(LayoutKind.Sequential)]
    private struct ZStream
    {
        internal byte* NextIn;
        internal byte* NextOut;
        internal byte* Message;
        internal void* State;
        internal uint AvailableIn;
        internal uint AvailableOut;
    }

    internal void Feed(ReadOnlySpan<byte> packed, Span<byte> buffer, Unpacked unpacked)
    {
        fixed (byte* input = packed, output = buffer)
        {
            _stream->NextIn = input;
            _stream->AvailableIn = (uint)packed.Length;
            // What came out may have filled the buffer, with more behind it and no input left.
            for (bool full = false; _stream->AvailableIn > 0 || full;)
            {
                if (!_isOpen) Open();
                _stream->NextOut = output;
                _stream->AvailableOut = (uint)buffer.Length;
                int result = Inflate(_stream, NoFlush);
                int length = buffer.Length - (int)_stream->AvailableOut;
                full = length == buffer.Length;
                if (result is < 0 and not NeedsMore)
                    throw result == OutOfMemory ? new IOException("zlib has no memory") : TarReader.Invalid("it is not gzip, or damaged");
                if (result == StreamEnd)
                {
                    Close();
                    _isComplete = true;
                    full = false;
                }
                if (length > 0) unpacked(buffer[..length]);
            }
        }
    }

    internal void Finish()
    {
        if (!_isComplete) throw TarReader.Invalid(_begun ? "it is cut off" : "it is empty");
    }

    public void Dispose()
    {
        Close();
        NativeMemory.Free(_stream);
    }

    /// <summary>A gzip file may have several members, one after the other; whatever is no member fails at its first bytes.</summary>
    private void Open()
    {
        if (InflateInit(_stream, GzipWindow) != 0) throw new IOException("zlib has no memory");
        _isOpen = true;
        _begun = true;
        _isComplete = false;
    }

    private void Close()
    {
        if (_isOpen) _ = InflateEnd(_stream);
        _isOpen = false;
    }

    [LibraryImport("libSystem.IO.Compression.Native", EntryPoint = "CompressionNative_InflateInit2_")]
    private static partial int InflateInit(ZStream* stream, int windowBits);

    [LibraryImport("libSystem.IO.Compression.Native", EntryPoint = "CompressionNative_Inflate")]
    private static partial int Inflate(ZStream* stream, int flush);

    [LibraryImport("libSystem.IO.Compression.Native", EntryPoint = "CompressionNative_InflateEnd")]
    private static partial int InflateEnd(ZStream* stream);
}
