using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Worker.Commands.Output;
using Xunit;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>Stands for the spool of a chunker: checks every record it takes, and restores as the spool does.</summary>
internal sealed class ChunkerLog
{
    private readonly byte[][] _carries = [[], [], []];
    private long _offset;

    public List<LogRecord> Records { get; } = [];

    public void Take(OutputChunker chunker)
    {
        var bytes = chunker.Closed.ToArray();
        var position = 0;
        while (LogRecordHeader.TryRead(bytes.AsSpan(position), out var header))
        {
            var payload = bytes.AsMemory(position + LogRecordHeader.Size, header.Length);
            position += LogRecordHeader.Size + header.Length;
            Assert.True(header.AgentOffset >= _offset);
            _offset = header.AgentOffset;
            if (header.Seq == 0)
            {
                _carries[header.Stream] = payload.ToArray();
                continue;
            }

            _carries[header.Stream] = [];
            Assert.Equal(Records.Count + 1, header.Seq);
            Assert.InRange(header.Length, 1, Limits.LogChunkBytes);
            // Throws on half a code point.
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(payload.Span);
            Records.Add(header.ToRecord(payload));
        }

        Assert.Equal(bytes.Length, position);
        chunker.Clear();
    }

    public void Restore(OutputChunker chunker) =>
        chunker.Restore(Records.Count, _offset, _carries[LogRecord.Stdout], _carries[LogRecord.Stderr]);

    public string Text(byte stream) =>
        Encoding.UTF8.GetString([.. Records.Where(r => r.Stream == stream).SelectMany(r => r.Payload.ToArray())]);
}

/// <summary>Pieces of output with everything that makes decoding hard.</summary>
internal static class RandomOutput
{
    private static readonly string[] Samples = ["plain\n", "é", "€", "𝄞", "\0", "\uFFFD", "日本語テキスト"];

    public static byte[] Next(Random random)
    {
        var kind = random.Next(6);
        if (kind == 0)
        {
            var noise = new byte[random.Next(1, 40)];
            random.NextBytes(noise);
            return noise;
        }

        if (kind == 1)
        {
            return Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("日本€", random.Next(1, 4000))));
        }

        var samples = Enumerable.Range(0, random.Next(1, 12)).Select(_ => Samples[random.Next(Samples.Length)]);
        var text = Encoding.UTF8.GetBytes(string.Concat(samples));
        // Cut anywhere, so that code points are split between pieces, or never finished.
        var start = random.Next(Math.Min(3, text.Length));
        return text[start..Math.Max(start + 1, text.Length - random.Next(4))];
    }
}
