using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Worker.Commands.Output;
using Xunit;

namespace CrowNest.Worker.Tests.Commands;

public sealed class OutputCaptureTests
{
    [Fact]
    public void Add_MoreThanTheCap_KeepsFirstWholeCodePoints()
    {
        var capture = new OutputCapture();
        var text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("€", 5000)));

        for (var sent = 0; sent < 2 * Limits.InlineOutputBytes; sent += text.Length)
        {
            capture.Add(LogRecord.Stdout, text);
        }

        capture.Add(LogRecord.Stdout, "later"u8);
        Assert.True(capture.StdoutTruncated);
        Assert.InRange(capture.Stdout.Length, Limits.InlineOutputBytes - 3, Limits.InlineOutputBytes);
        Assert.Equal(0, capture.Stdout.Length % 3);
        Assert.DoesNotContain('\uFFFD', Encoding.UTF8.GetString(capture.Stdout));
        Assert.Empty(capture.Stderr);
        Assert.False(capture.StderrTruncated);
    }

    [Fact]
    public void Add_ExactlyTheCap_IsNotTruncated()
    {
        var capture = new OutputCapture();

        capture.Add(LogRecord.Stderr, new byte[Limits.InlineOutputBytes]);

        Assert.Equal(Limits.InlineOutputBytes, capture.Stderr.Length);
        Assert.False(capture.StderrTruncated);
        capture.Add(LogRecord.Stderr, "x"u8);
        Assert.True(capture.StderrTruncated);
    }
}
