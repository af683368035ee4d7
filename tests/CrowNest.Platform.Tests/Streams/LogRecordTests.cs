using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;
using Xunit;

namespace CrowNest.Platform.Tests.Streams;

public sealed class LogRecordTests
{
    [Fact]
    public void Header_WrittenAndRead_IsTheSame()
    {
        var header = new LogRecordHeader(Limits.LogChunkBytes, long.MaxValue, LogRecord.Stderr, 1_700_000_000_000, 1L << 40);
        var bytes = new byte[LogRecordHeader.Size];

        header.Write(bytes);

        Assert.True(LogRecordHeader.TryRead(bytes, out var read));
        Assert.Equal(header, read);
    }

    [Fact]
    public void Header_LayoutOnDisk_IsThatOfTheProtocol()
    {
        var bytes = new byte[LogRecordHeader.Size];

        new LogRecordHeader(0x0102, 3, LogRecord.Stdout, 4, 5).Write(bytes);

        Assert.Equal(
            [2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0], bytes);
    }

    [Theory]
    [InlineData(-1, 1, 1, 0)]
    [InlineData(Limits.LogChunkBytes + 1, 1, 1, 0)]
    [InlineData(1, -1, 1, 0)]
    [InlineData(1, 1, 0, 0)]
    [InlineData(1, 1, 3, 0)]
    [InlineData(1, 1, 1, -1)]
    public void Header_ImpossibleValues_AreNotRead(int length, long seq, byte stream, long offset)
    {
        var bytes = new byte[LogRecordHeader.Size];
        new LogRecordHeader(length, seq, stream, 0, offset).Write(bytes);

        Assert.False(LogRecordHeader.TryRead(bytes, out _));
        Assert.False(LogRecordHeader.TryRead(bytes.AsSpan(1), out _));
    }
}
