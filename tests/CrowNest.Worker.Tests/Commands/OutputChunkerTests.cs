using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Worker.Commands.Output;
using Xunit;

namespace CrowNest.Worker.Tests.Commands;

public sealed class OutputChunkerTests
{
    /// <summary>
    /// Whatever the bytes and wherever the frames cut them, each stream decodes to what a decoder makes of all its bytes at once.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Add_RandomBytesAndCuts_GivesWholeCodePointsOfBothStreams(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 300; round++)
        {
            var capture = new OutputCapture();
            using var chunker = new OutputChunker(TimeProvider.System, capture);
            var raw = new Dictionary<byte, MemoryStream> { [LogRecord.Stdout] = new(), [LogRecord.Stderr] = new() };
            var log = new ChunkerLog();
            var frames = random.Next(1, 60);
            for (var i = 0; i < frames; i++)
            {
                var stream = random.Next(3) == 0 ? LogRecord.Stderr : LogRecord.Stdout;
                var bytes = RandomOutput.Next(random);
                raw[stream].Write(bytes);
                chunker.Add(stream, bytes);
                Disturb(random, chunker, log);
            }

            chunker.End();
            log.Take(chunker);

            Assert.Equal(Decode(raw[LogRecord.Stdout]), log.Text(LogRecord.Stdout));
            Assert.Equal(Decode(raw[LogRecord.Stderr]), log.Text(LogRecord.Stderr));
            Assert.Equal(raw.Values.Sum(r => r.Length), chunker.ResumeOffset);
            Assert.Equal(Encoding.UTF8.GetBytes(log.Text(LogRecord.Stdout)), capture.Stdout);
        }
    }

    /// <summary>A process that dies after any append goes on from what it spooled, and nothing is lost or doubled.</summary>
    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public void Restore_AfterAnyAppend_ContinuesByteExact(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            var frames = Enumerable.Range(0, random.Next(2, 40))
                .Select(_ => (Stream: random.Next(2) == 0 ? LogRecord.Stderr : LogRecord.Stdout, Bytes: RandomOutput.Next(random)))
                .ToList();
            var log = new ChunkerLog();
            var chunker = new OutputChunker(TimeProvider.System, new OutputCapture());
            var position = 0L;
            while (position < frames.Sum(f => f.Bytes.Length))
            {
                foreach (var (stream, bytes) in From(frames, position, random))
                {
                    chunker.Add(stream, bytes);
                    Disturb(random, chunker, log);
                    if (random.Next(8) == 0)
                    {
                        break;
                    }
                }

                // Everything but the spool is forgotten.
                chunker.Dispose();
                chunker = new OutputChunker(TimeProvider.System, new OutputCapture());
                log.Restore(chunker);
                if (position == chunker.ResumeOffset && random.Next(3) == 0)
                {
                    // Let it get somewhere.
                    foreach (var (stream, bytes) in From(frames, position, random))
                    {
                        chunker.Add(stream, bytes);
                    }

                    break;
                }

                position = chunker.ResumeOffset;
            }

            chunker.End();
            log.Take(chunker);
            chunker.Dispose();

            foreach (var stream in new[] { LogRecord.Stdout, LogRecord.Stderr })
            {
                var all = frames.Where(f => f.Stream == stream).SelectMany(f => f.Bytes).ToArray();
                Assert.Equal(Encoding.UTF8.GetString(all), log.Text(stream));
            }
        }
    }

    [Fact]
    public void Add_Flood_FillsRecords()
    {
        using var chunker = new OutputChunker(TimeProvider.System, new OutputCapture());
        var log = new ChunkerLog();

        for (var i = 0; i < 10; i++)
        {
            chunker.Add(LogRecord.Stdout, new byte[65_536]);
        }

        log.Take(chunker);
        Assert.Equal(40, log.Records.Count);
        Assert.All(log.Records, r => Assert.Equal(Limits.LogChunkBytes, r.Payload.Length));
        Assert.Equal(655_360, chunker.ResumeOffset);
        Assert.False(chunker.HasOpen);
    }

    [Fact]
    public void Add_UnfinishedCodePoint_WaitsAndIsNotAcknowledged()
    {
        using var chunker = new OutputChunker(TimeProvider.System, new OutputCapture());
        var log = new ChunkerLog();

        chunker.Add(LogRecord.Stdout, [(byte)'a', 0xE2, 0x82]);
        chunker.CloseOpen();
        Assert.Equal(1, chunker.ResumeOffset);
        chunker.Add(LogRecord.Stdout, [0xAC]);
        chunker.CloseOpen();
        log.Take(chunker);

        Assert.Equal(["a", "€"], log.Records.Select(r => Encoding.UTF8.GetString(r.Payload.Span)));
        Assert.Equal(4, chunker.ResumeOffset);
    }

    /// <summary>The agent sends again what it has: all of an unfinished code point, or only what lies behind the carried part.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Rewind_BehindUnfinishedCodePoint_HasItOnceAndWhole(bool carried)
    {
        using var chunker = new OutputChunker(TimeProvider.System, new OutputCapture());
        var log = new ChunkerLog();
        chunker.Add(LogRecord.Stdout, [0xE2, 0x82]);
        if (carried)
        {
            chunker.Add(LogRecord.Stderr, "x"u8);
        }

        chunker.CloseOpen();
        log.Take(chunker);
        Assert.Equal(carried ? 3 : 0, chunker.ResumeOffset);

        chunker.Rewind();
        chunker.Add(LogRecord.Stdout, carried ? [0xAC, 0x21] : [0xE2, 0x82, 0xAC, 0x21]);
        chunker.End();
        log.Take(chunker);

        Assert.Equal(("€!", carried ? "x" : ""), (log.Text(LogRecord.Stdout), log.Text(LogRecord.Stderr)));
    }

    [Fact]
    public void Add_OtherStreamBehindUnfinishedCodePoint_CarriesItsBytes()
    {
        using var chunker = new OutputChunker(TimeProvider.System, new OutputCapture());
        var log = new ChunkerLog();

        chunker.Add(LogRecord.Stdout, [0xE2, 0x82]);
        chunker.Add(LogRecord.Stderr, "x"u8);
        chunker.CloseOpen();
        log.Take(chunker);
        Assert.Equal(3, chunker.ResumeOffset);
        chunker.Add(LogRecord.Stdout, [0xAC]);
        chunker.End();
        log.Take(chunker);

        Assert.Equal("€", log.Text(LogRecord.Stdout));
        Assert.Equal([1L, 2L], log.Records.Select(r => r.Seq));
    }

    private static void Disturb(Random random, OutputChunker chunker, ChunkerLog log)
    {
        switch (random.Next(4))
        {
            case 0:
                chunker.CloseOpen();
                log.Take(chunker);
                break;
            case 1:
                log.Take(chunker);
                break;
        }
    }

    /// <summary>What the agent sends to a connection from an offset, cut into other frames than before.</summary>
    private static IEnumerable<(byte Stream, byte[] Bytes)> From(List<(byte Stream, byte[] Bytes)> frames, long offset, Random random)
    {
        var start = 0L;
        foreach (var (stream, bytes) in frames)
        {
            var rest = bytes.AsSpan((int)Math.Clamp(offset - start, 0, bytes.Length)).ToArray();
            start += bytes.Length;
            while (rest.Length > 0)
            {
                var take = random.Next(1, rest.Length + 1);
                yield return (stream, rest[..take]);
                rest = rest[take..];
            }
        }
    }

    private static string Decode(MemoryStream raw) => Encoding.UTF8.GetString(raw.ToArray());
}
