using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Worker.Commands.Output;
using Xunit;

namespace CrowNest.Worker.Tests.Commands;

public sealed class CommandSpoolTests : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"crownest-test-spool-{Guid.NewGuid():n}");

    [Fact]
    public void Open_NothingAppended_WritesNothing()
    {
        using var spool = CommandSpool.Open(_folder, new OutputCapture());

        Assert.False(Directory.Exists(_folder));
        Assert.Equal((0, 0, 0), (spool.OldestSeq, spool.LastSeq, spool.ResumeOffset));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(29)]
    [InlineData(35)]
    public void Open_TornLastRecord_CutsItOffAndGoesOn(int missing)
    {
        using (var spool = CommandSpool.Open(_folder, new OutputCapture()))
        {
            spool.Append([.. Record(1, "first"), .. Record(2, "second, to be torn")]);
        }

        Tear(missing);
        var capture = new OutputCapture();
        using var again = CommandSpool.Open(_folder, capture);

        Assert.Equal((1, 1, 10), (again.OldestSeq, again.LastSeq, again.ResumeOffset));
        Assert.Equal("first"u8.ToArray(), capture.Stdout);
        again.Append(Record(2, "2nd"));
        Assert.Equal(["first", "2nd"], Texts(again));
    }

    [Fact]
    public void Open_GarbageAtTheEnd_CutsItOff()
    {
        using (var spool = CommandSpool.Open(_folder, new OutputCapture()))
        {
            spool.Append(Record(1, "first"));
        }

        using (var file = new FileStream(Directory.GetFiles(_folder).Single(), FileMode.Append))
        {
            file.Write(Enumerable.Repeat((byte)0xFF, 100).ToArray());
        }

        using var again = CommandSpool.Open(_folder, new OutputCapture());
        Assert.Equal(1, again.LastSeq);
        again.Append(Record(2, "second"));
        Assert.Equal(["first", "second"], Texts(again));
    }

    [Fact]
    public void Append_MoreThanRetained_DropsOldestAndKeepsCapture()
    {
        var capture = new OutputCapture();
        var payload = new string('x', Limits.LogChunkBytes);
        var count = (int)(3 * Limits.RetainedLogBytes / Limits.LogChunkBytes);
        using (var spool = CommandSpool.Open(_folder, capture))
        {
            capture.Add(LogRecord.Stdout, "the beginning"u8);
            spool.Append(Record(1, "the beginning"));
            for (var seq = 2; seq <= count; seq++)
            {
                capture.Add(LogRecord.Stdout, new byte[Limits.LogChunkBytes]);
                spool.Append(Record(seq, payload));
            }

            var retained = (spool.LastSeq - spool.OldestSeq + 1) * Limits.LogChunkBytes;
            Assert.InRange(retained, Limits.RetainedLogBytes - (2 * 1024 * 1024), Limits.RetainedLogBytes);
            Assert.InRange(Directory.GetFiles(_folder).Sum(f => new FileInfo(f).Length), 1, Limits.RetainedLogBytes + (2 * 1024 * 1024));
        }

        var restored = new OutputCapture();
        using var again = CommandSpool.Open(_folder, restored);
        Assert.Equal(count, again.LastSeq);
        Assert.Equal(capture.Stdout, restored.Stdout);
        Assert.True(restored.StdoutTruncated);
        Assert.StartsWith("the beginning", System.Text.Encoding.UTF8.GetString(restored.Stdout), StringComparison.Ordinal);
    }

    [Fact]
    public void Append_CarryOlderThanRetention_IsStillThereAfterReopening()
    {
        using (var spool = CommandSpool.Open(_folder, new OutputCapture()))
        {
            spool.Append(Record(0, "\u0001\u0002", LogRecord.Stdout));
            for (var seq = 1; seq <= 1500; seq++)
            {
                spool.Append(Record(seq, new string('x', Limits.LogChunkBytes), LogRecord.Stderr));
            }

            Assert.True(spool.OldestSeq > 1);
        }

        using var again = CommandSpool.Open(_folder, new OutputCapture());
        Assert.Equal([1, 2], again.Carry(LogRecord.Stdout).ToArray());
        again.Append(Record(1501, "its rest", LogRecord.Stdout));
        Assert.True(again.Carry(LogRecord.Stdout).IsEmpty);
    }

    [Fact]
    public void Read_WhileWrittenAndTrimmed_GivesRisingNumbersToTheLast()
    {
        using var spool = CommandSpool.Open(_folder, new OutputCapture());
        var reader = new SpoolReader(spool);
        var records = new List<LogRecord>();
        const int last = 3000;
        var writing = Task.Run(() =>
        {
            for (var seq = 1; seq <= last; seq++)
            {
                spool.Append(Record(seq, new string('x', Limits.LogChunkBytes)));
            }
        });

        var seen = 0L;
        while (seen < last)
        {
            records.Clear();
            reader.Read(records, seen, 128 * 1024);
            foreach (var record in records)
            {
                Assert.True(record.Seq > seen);
                seen = record.Seq;
            }

            Assert.False(records.Count == 0 && writing.IsFaulted);
        }

        Assert.Equal(last, seen);
    }

    [Fact]
    public void ToLogObject_WithCarry_HoldsNumberedRecordsOnly()
    {
        using var spool = CommandSpool.Open(_folder, new OutputCapture());
        spool.Append([.. Record(1, "one"), .. Record(0, "\u0001", LogRecord.Stderr), .. Record(2, "two")]);

        var log = spool.ToLogObject();

        Assert.Equal((2 * LogRecordHeader.Size) + 6, log.Length);
        Assert.True(LogRecordHeader.TryRead(log.AsSpan(LogRecordHeader.Size + 3), out var second));
        Assert.Equal((2, 3), (second.Seq, second.Length));
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private static byte[] Record(long seq, string text, byte stream = LogRecord.Stdout)
    {
        var payload = System.Text.Encoding.UTF8.GetBytes(text);
        var record = new byte[LogRecordHeader.Size + payload.Length];
        new LogRecordHeader(payload.Length, seq, stream, 1, seq * 10).Write(record);
        payload.CopyTo(record, LogRecordHeader.Size);
        return record;
    }

    private static List<string> Texts(CommandSpool spool)
    {
        var records = new List<LogRecord>();
        new SpoolReader(spool).Read(records, 0, 64 * 1024);
        return [.. records.Select(r => System.Text.Encoding.UTF8.GetString(r.Payload.Span))];
    }

    private void Tear(int bytes)
    {
        using var file = new FileStream(Directory.GetFiles(_folder).Single(), FileMode.Open);
        file.SetLength(file.Length - bytes);
    }
}
