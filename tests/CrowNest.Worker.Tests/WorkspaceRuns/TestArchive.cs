using System.Formats.Tar;
using System.IO.Compression;
using System.Text;

namespace CrowNest.Worker.Tests.WorkspaceRuns;

/// <summary>Small archives, also such as no honest tool makes.</summary>
internal sealed class TestArchive
{
    private readonly MemoryStream _tar = new();

    public static byte[] Empty => new TestArchive().ToGzip();

    public static byte[] Of(params (string Name, string Content)[] files)
    {
        var archive = new TestArchive();
        foreach (var (name, content) in files)
        {
            archive.File(name, Encoding.UTF8.GetBytes(content));
        }

        return archive.ToGzip();
    }

    public TestArchive File(string name, byte[] content, long? claimedSize = null, int mode = 0b110_100_100)
    {
        Header(name, '0', claimedSize ?? content.Length, mode: mode);
        _tar.Write(content);
        _tar.Write(new byte[(512 - content.Length % 512) % 512]);
        return this;
    }

    public TestArchive Directory(string name) => Header(name, '5', 0, mode: 0b111_101_101);

    public TestArchive Link(string name, string target) => Header(name, '2', 0, target);

    public TestArchive HardLink(string name, string target) => Header(name, '1', 0, target);

    /// <summary>A header of any kind.</summary>
    public TestArchive Header(string name, char kind, long size, string link = "", int mode = 0b110_100_100)
    {
        var header = new byte[512];
        Put(0, 100, name);
        Put(100, 8, $"{Convert.ToString(mode, 8).PadLeft(7, '0')}");
        Put(108, 8, "0000000");
        Put(116, 8, "0000000");
        Put(124, 12, Convert.ToString(size, 8).PadLeft(11, '0'));
        Put(136, 12, "14000000000");
        Put(148, 8, "        ");
        header[156] = (byte)kind;
        Put(157, 100, link);
        Put(257, 8, "ustar\000");
        header[263] = (byte)'0';
        header[264] = (byte)'0';
        var sum = header.Sum(b => b);
        Put(148, 8, Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ");
        _tar.Write(header);
        return this;

        void Put(int at, int length, string text)
        {
            var bytes = Encoding.Latin1.GetBytes(text);
            bytes.AsSpan(0, Math.Min(bytes.Length, length)).CopyTo(header.AsSpan(at));
        }
    }

    /// <summary>A PAX header for the next entry.</summary>
    public TestArchive Pax(string key, string value)
    {
        var length = $" {key}={value}\n".Length;
        var total = length + $"{length}".Length;
        total = length + $"{total}".Length;
        var record = Encoding.Latin1.GetBytes($"{total} {key}={value}\n");
        Header("pax", 'x', record.Length);
        _tar.Write(record);
        _tar.Write(new byte[(512 - record.Length % 512) % 512]);
        return this;
    }

    public byte[] ToGzip(CompressionLevel level = CompressionLevel.Fastest)
    {
        using var gzip = new MemoryStream();
        using (var compressed = new GZipStream(gzip, level, leaveOpen: true))
        {
            compressed.Write(_tar.ToArray());
            compressed.Write(new byte[1024]);
        }

        return gzip.ToArray();
    }

    /// <summary>Many small files by the framework's own writer.</summary>
    public static byte[] Many(int files, Func<int, byte[]> content)
    {
        using var gzip = new MemoryStream();
        using (var compressed = new GZipStream(gzip, CompressionLevel.Fastest, leaveOpen: true))
        using (var tar = new TarWriter(compressed, TarEntryFormat.Pax))
        {
            for (var i = 0; i < files; i++)
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, $"many/{i}") { DataStream = new MemoryStream(content(i)) });
            }
        }

        return gzip.ToArray();
    }
}
