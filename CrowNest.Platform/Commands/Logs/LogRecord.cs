using System.Buffers.Binary;
using System.Text;
using CrowNest.Contracts;

namespace CrowNest.Platform.Commands.Logs;

/// <summary>A piece of a command's output (docs/protocols.md 5).</summary>
public sealed record LogRecord
{
    public const byte Stdout = 1;
    public const byte Stderr = 2;

    /// <summary>Starts at 1 and is contiguous over both streams.</summary>
    public required long Seq { get; init; }

    /// <summary><see cref="Stdout"/> or <see cref="Stderr"/>.</summary>
    public required byte Stream { get; init; }

    /// <summary>Unix milliseconds.</summary>
    public required long CreatedAt { get; init; }

    /// <summary>UTF-8, whole code points, at most <see cref="Limits.LogChunkBytes"/>.</summary>
    public required ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>The chunk as the API shows it.</summary>
    public CommandLogChunk ToChunk(string commandId) => new(
        commandId, Seq, Stream == Stderr ? OutputStream.Stderr : OutputStream.Stdout, Encoding.UTF8.GetString(Payload.Span),
        DateTimeOffset.FromUnixTimeMilliseconds(CreatedAt));
}

/// <summary>
/// The fixed part before a record's payload: <c>length u32, seq u64, stream u8, createdAt u64, agentOffset u64</c>, little endian.
/// </summary>
public readonly record struct LogRecordHeader(int Length, long Seq, byte Stream, long CreatedAt, long AgentOffset)
{
    /// <summary>Bytes of an encoded header.</summary>
    public const int Size = 29;

    /// <summary>Writes the header to the first <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteInt32LittleEndian(destination, Length);
        BinaryPrimitives.WriteInt64LittleEndian(destination[4..], Seq);
        destination[12] = Stream;
        BinaryPrimitives.WriteInt64LittleEndian(destination[13..], CreatedAt);
        BinaryPrimitives.WriteInt64LittleEndian(destination[21..], AgentOffset);
    }

    /// <summary>Reads a header; false when there are too few bytes, or when they cannot be one.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out LogRecordHeader header)
    {
        header = default;
        if (source.Length < Size)
        {
            return false;
        }

        header = new LogRecordHeader(
            BinaryPrimitives.ReadInt32LittleEndian(source), BinaryPrimitives.ReadInt64LittleEndian(source[4..]), source[12],
            BinaryPrimitives.ReadInt64LittleEndian(source[13..]), BinaryPrimitives.ReadInt64LittleEndian(source[21..]));
        return header is
        {
            Length: >= 0 and <= Limits.LogChunkBytes, Seq: >= 0, Stream: LogRecord.Stdout or LogRecord.Stderr, AgentOffset: >= 0,
        };
    }

    /// <summary>The record with this header.</summary>
    public LogRecord ToRecord(ReadOnlyMemory<byte> payload) =>
        new() { Seq = Seq, Stream = Stream, CreatedAt = CreatedAt, Payload = payload };
}
