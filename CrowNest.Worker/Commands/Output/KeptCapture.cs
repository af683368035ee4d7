using System.Buffers.Binary;
using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// The file <c>capture</c> of a spool that has dropped its oldest records: <c>throughSeq u64</c>, then for stdout and stderr
/// <c>length u32, truncated u8</c> and the captured bytes, little endian. Records behind <c>throughSeq</c> are still to be added.
/// </summary>
internal static class KeptCapture
{
    private const string Name = "capture";

    public static void Write(string folder, OutputCapture capture, long throughSeq)
    {
        var path = Path.Combine(folder, Name);
        var partial = path + ".partial";
        using (var file = new FileStream(partial, FileMode.Create, FileAccess.Write))
        {
            Span<byte> number = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(number, throughSeq);
            file.Write(number);
            WriteStream(file, capture.Stdout, capture.StdoutTruncated);
            WriteStream(file, capture.Stderr, capture.StderrTruncated);
        }

        File.Move(partial, path, overwrite: true);
    }

    /// <summary>Fills the capture.</summary>
    /// <returns>Number of the last record that it covers; 0 when there is no such file.</returns>
    public static long Read(string folder, OutputCapture capture)
    {
        var path = Path.Combine(folder, Name);
        if (!File.Exists(path))
        {
            return 0;
        }

        ReadOnlySpan<byte> bytes = File.ReadAllBytes(path);
        var throughSeq = BinaryPrimitives.ReadInt64LittleEndian(bytes);
        var rest = ReadStream(bytes[8..], LogRecord.Stdout, capture);
        ReadStream(rest, LogRecord.Stderr, capture);
        return throughSeq;
    }

    private static void WriteStream(FileStream file, byte[] prefix, bool truncated)
    {
        Span<byte> header = stackalloc byte[5];
        BinaryPrimitives.WriteInt32LittleEndian(header, prefix.Length);
        header[4] = truncated ? (byte)1 : (byte)0;
        file.Write(header);
        file.Write(prefix);
    }

    private static ReadOnlySpan<byte> ReadStream(ReadOnlySpan<byte> bytes, byte stream, OutputCapture capture)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        if (length is < 0 or > Limits.InlineOutputBytes)
        {
            throw new InvalidDataException("The kept capture is damaged.");
        }

        capture.Restore(stream, bytes.Slice(5, length), bytes[4] != 0);
        return bytes[(5 + length)..];
    }
}
