using System.Text;
using CrowNest.Contracts;
using CrowNest.Dashboard.Components;
using CrowNest.Dashboard.Files;

namespace CrowNest.Dashboard.Tests;

public sealed class FileTextTests
{
    [Theory]
    [InlineData(null, "/workspace")]
    [InlineData("", "/workspace")]
    [InlineData("/workspace/", "/workspace")]
    [InlineData("src//a/./b", "/workspace/src/a/b")]
    [InlineData("/workspace/../etc", "/workspace")]
    [InlineData("/workspacex", "/workspace")]
    [InlineData("/workspace/a/../../..", "/workspace")]
    [InlineData("/workspace/a\nb", "/workspace/a\nb")]
    public void Clean_AnyAddress_StaysInTheWorkspace(string? path, string expected) => Assert.Equal(expected, ShownPath.Clean(path));

    [Theory]
    [InlineData("name", "/workspace/src/name")]
    [InlineData("../up", "/workspace/up")]
    [InlineData("/workspace/x", "/workspace/x")]
    [InlineData("a/b", "/workspace/src/a/b")]
    public void Resolve_WhatWasTyped_StartsAtTheFolder(string typed, string expected) =>
        Assert.Equal(expected, ShownPath.Resolve("/workspace/src", typed));

    [Fact]
    public void Crumbs_OfAPath_AreItsFolders()
    {
        Assert.Equal(["/workspace"], ShownPath.Crumbs("/workspace"));
        Assert.Equal(["/workspace", "/workspace/a", "/workspace/a/b", "/workspace/a/b/c"], ShownPath.Crumbs("/workspace/a/b/c"));
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1.0 KiB")]
    [InlineData(1_048_575, "1.0 MiB")]
    [InlineData(5_368_709_120, "5.0 GiB")]
    public void Size_Bytes_AreInWords(long bytes, string expected) => Assert.Equal(expected, SizeText.Of(bytes));

    [Fact]
    public void Order_Entries_FoldersFirstAndKeysUnique()
    {
        FileEntry[] entries =
        [
            Entry("b", FileType.File), Entry("Z", FileType.Directory), Entry("A", FileType.File),
            Entry("\uFFFD", FileType.File), Entry("\uFFFD", FileType.File), Entry("a", FileType.Directory),
        ];

        var rows = FileListing.Order(entries);

        Assert.Equal(["a", "Z", "A", "b", "\uFFFD", "\uFFFD"], rows.Select(row => row.Entry.Name));
        Assert.Equal(rows.Count, rows.Select(row => row.Key).Distinct().Count());

        static FileEntry Entry(string name, string type) => new(name, "/workspace/" + name, type, 0);
    }

    [Theory]
    [InlineData("GIF89a......", "image/gif")]
    [InlineData("RIFF....WEBP", "image/webp")]
    [InlineData("RIFF....WAVE", null)]
    [InlineData("<svg/>......", null)]
    [InlineData("GIF", null)]
    [InlineData("", null)]
    public void ImageType_FirstBytes_DecideIt(string start, string? expected) =>
        Assert.Equal(expected, ImageType.Of(Encoding.Latin1.GetBytes(start)));

    [Fact]
    public void Preview_CutThroughACharacter_LeavesItOut()
    {
        foreach (var character in new[] { "é", "€", "😀" })
        {
            var bytes = Encoding.UTF8.GetBytes("text" + character);
            for (var cut = 5; cut < bytes.Length; cut++)
            {
                var preview = Preview(bytes.AsSpan(0, cut), bytes.Length);
                Assert.Equal((PreviewKind.Text, "text", true, false), (preview.Kind, preview.Text, preview.IsCut, preview.IsRepaired));
            }

            Assert.Equal("text" + character, Preview(bytes, bytes.Length).Text);
        }
    }

    [Fact]
    public void Preview_OtherBytes_AreToldApart()
    {
        Assert.Equal(PreviewKind.Binary, Preview([(byte)'a', 0], 2).Kind);
        Assert.Equal(PreviewKind.Binary, Preview([1, 2, 0xFF], 3).Kind);
        Assert.Equal((PreviewKind.Text, "caf\uFFFD", true), Of(Preview(Encoding.Latin1.GetBytes("café"), 4)));
        Assert.Equal((PreviewKind.Text, "\u001b[31mred", false), Of(Preview("\u001b[31mred"u8, 8)));
        Assert.Equal((PreviewKind.Text, "", false), Of(Preview([], 0)));
        Assert.Equal(PreviewKind.Image, Preview(FilesTests.Pixel, FilesTests.Pixel.Length).Kind);
        Assert.Equal(PreviewKind.Binary, Preview(FilesTests.Pixel, FilePreview.ImageBytes + 1).Kind);

        static (PreviewKind, string, bool) Of(FilePreview preview) => (preview.Kind, preview.Text, preview.IsRepaired);
    }

    private static FilePreview Preview(ReadOnlySpan<byte> start, long size) =>
        FilePreview.Of(new FileStat("/workspace/f", FileType.File, size), start);
}
