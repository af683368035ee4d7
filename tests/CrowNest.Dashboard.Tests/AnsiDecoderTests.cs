using CrowNest.Dashboard.Commands;

namespace CrowNest.Dashboard.Tests;

public sealed class AnsiDecoderTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("\u001b[31mred\u001b[0m plain", "[fg-1]red[] plain")]
    [InlineData("\u001b[1;4;38;5;9mx", "[bold underline fg-9]x")]
    [InlineData("\u001b[38;5;196mx\u001b[48;5;232my", "[#ff0000/]x[#ff0000/#080808]y")]
    [InlineData("\u001b[38;2;1;2;3mx\u001b[39my", "[#010203/]x[]y")]
    [InlineData("\u001b[38;2;1;2;300mx", "x")]
    [InlineData("\u001b[38;5mx", "x")]
    [InlineData("\u001b[97;101mx\u001b[mz", "[fg-15 bg-9]x[]z")]
    [InlineData("\u001b[2J\u001b[H\u001b[?25lx\u001b[K", "x")]
    [InlineData("\u001b]0;title\u0007x\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\", "xlink")]
    [InlineData("\u001bP1;2|dcs\u001b\\x\u001b(By\u001bcz", "xyz")]
    [InlineData("\u001b[>4;2mx\u001b[?7mx", "xx")]
    [InlineData("a\0b\u0001c\u009b31md", "a^@b^Ac\uFFFD31md")]
    [InlineData("\u202Eevil\u202C", "\uFFFDevil\uFFFD")]
    [InlineData("ab\bc\u0007\r\n\tx", "ac\r\n\tx")]
    [InlineData("\u001b[99999999999999999999mx\u001b[;mz", "xz")]
    [InlineData("<script>alert(1)</script>", "<script>alert(1)</script>")]
    public void Decode_HoweverItIsSplit_GivesTheSameLooks(string output, string expected)
    {
        foreach (var size in new[] { output.Length, 1, 2, 3 })
        {
            var decoder = new AnsiDecoder(OutputRun.Out);
            var runs = output.Chunk(size).SelectMany(chunk => decoder.Decode(new string(chunk))).ToArray();

            // A backspace reaches as far as its chunk: what was sent to the page is not taken back.
            if (output.Contains('\b', StringComparison.Ordinal) && size < output.Length)
                continue;
            Assert.Equal(expected, Describe(runs));
        }
    }

    [Fact]
    public void Decode_StringWithoutEnd_DoesNotSwallowTheOutput()
    {
        var decoder = new AnsiDecoder(OutputRun.Err);

        var runs = decoder.Decode("\u001b]0;" + new string('x', 10_000) + "visible");

        Assert.EndsWith("visible", runs.Single().Text, StringComparison.Ordinal);
        Assert.Equal(OutputRun.Err, runs.Single().Stream);
    }

    [Fact]
    public void Decode_EndlessParameters_AreGivenUp()
    {
        var decoder = new AnsiDecoder(OutputRun.Out);

        var runs = decoder.Decode("\u001b[" + new string('1', 1000) + "mvisible");

        Assert.EndsWith("visible", runs.Single().Text, StringComparison.Ordinal);
    }

    private static string Describe(IEnumerable<OutputRun> runs)
    {
        var text = "";
        var look = "";
        foreach (var run in runs)
        {
            var colours = run.Foreground is null && run.Background is null ? "" : $"{run.Foreground}/{run.Background}";
            var current = string.Join(' ', new[] { run.Classes, colours }.Where(part => !string.IsNullOrEmpty(part)));
            text += current == look ? run.Text : $"[{current}]{run.Text}";
            look = current;
        }

        return text;
    }
}
