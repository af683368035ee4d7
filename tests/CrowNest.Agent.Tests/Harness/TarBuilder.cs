using System.IO.Compression;
using System.Text;

namespace CrowNest.Agent.Tests.Harness;

/// <summary>Writes archives as no honest program would. Names are Latin-1: a character is a byte.</summary>
internal sealed class TarBuilder
{
    private readonly MemoryStream _tar = new();

    internal TarBuilder File(string name, string content = "", int mode = 0x1A4, string? size = null) =>
        Entry(name, '0', Encoding.Latin1.GetBytes(content), mode: mode, size: size);

    internal TarBuilder Directory(string name, int mode = 0x1ED) => Entry(name, '5', mode: mode);

    internal TarBuilder Link(string name, string target) => Entry(name, '2', link: target);

    internal TarBuilder HardLink(string name, string target) => Entry(name, '1', link: target);

    internal TarBuilder Pax(string records, char type = 'x') => Entry("PaxHeaders/x", type, Encoding.Latin1.GetBytes(records));

    /// <summary>A record with its right length.</summary>
    internal static string Record(string key, string value)
    {
        int length = key.Length + value.Length + 4;
        while (length != $"{length} {key}={value}\n".Length) length = $"{length} {key}={value}\n".Length;
        return $"{length} {key}={value}\n";
    }

    internal TarBuilder Entry(
        string name, char type, byte[]? content = null, string link = "", int mode = 0x1A4, string? size = null, bool damage = false)
    {
        content ??= [];
        byte[] header = new byte[512];
        void Put(int at, string text) => Encoding.Latin1.GetBytes(text).CopyTo(header, at);
        Put(0, name[..Math.Min(100, name.Length)]);
        Put(100, Convert.ToString(mode, 8).PadLeft(7, '0'));
        Put(108, "0000000");
        Put(116, "0000000");
        Put(124, size ?? Convert.ToString(content.Length, 8).PadLeft(11, '0'));
        Put(136, "14526450000");
        Put(148, "        ");
        header[156] = (byte)type;
        Put(157, link[..Math.Min(100, link.Length)]);
        Put(257, "ustar\u000000");
        int sum = header.Sum(b => b) + (damage ? 1 : 0);
        Put(148, Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ");
        _tar.Write(header);
        _tar.Write(content);
        _tar.Write(new byte[-content.Length & 511]);
        return this;
    }

    internal byte[] TarWithoutEnd() => _tar.ToArray();

    internal byte[] Tar() => [.. _tar.ToArray(), .. new byte[1024]];

    internal byte[] Gzip() => Gzip(Tar());

    internal static byte[] Gzip(byte[] bytes)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(bytes);
        return packed.ToArray();
    }
}
