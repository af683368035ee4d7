namespace CrowNest.Agent.Files.Archives;

/// <summary>Kinds of entries, by the type flag of the ustar header.</summary>
internal enum TarKind : byte
{
    File = (byte)'0',
    HardLink = (byte)'1',
    Link = (byte)'2',
    CharacterDevice = (byte)'3',
    BlockDevice = (byte)'4',
    Directory = (byte)'5',
    Fifo = (byte)'6',
    Contiguous = (byte)'7',
    Extended = (byte)'x',
    GlobalExtended = (byte)'g',
    LongName = (byte)'L',
    LongLink = (byte)'K',
}

/// <summary>The 512-byte header of POSIX ustar, of GNU and of the old V7 tar: name 100, mode 8, uid 8, gid 8, size 12, mtime 12,
/// checksum 8, type 1, link 100, magic 6, version 2, owner 32, group 32, device 16, prefix 155.</summary>
internal static class TarHeader
{
    internal const int BlockSize = 512;
    internal const int NameLength = 100, LinkOffset = 157, SizeOffset = 124, ModifiedOffset = 136, TypeOffset = 156;
    internal const long MaxOctalSize = 0x1FFFFFFFF;

    private const int ModeOffset = 100, UidOffset = 108, GidOffset = 116, ChecksumOffset = 148, MagicOffset = 257, PrefixOffset = 345,
        PrefixLength = 155;

    internal static bool IsZero(ReadOnlySpan<byte> block) => !block.ContainsAnyExcept((byte)0);

    /// <summary>Old programs summed signed bytes.</summary>
    internal static bool HasValidChecksum(ReadOnlySpan<byte> header)
    {
        if (!TryNumber(header.Slice(ChecksumOffset, 8), out long stored)) return false;
        var (unsigned, signed) = Sums(header);
        return stored == unsigned || stored == signed;
    }

    internal static uint Mode(ReadOnlySpan<byte> header) =>
        TryNumber(header.Slice(ModeOffset, 8), out long mode) ? (uint)(mode & 0xFFF) : 0;

    /// <summary>Octal text, or after a first byte of 0x80 a big-endian number (GNU). False for anything else and below zero.</summary>
    internal static bool TryNumber(ReadOnlySpan<byte> field, out long number)
    {
        number = 0;
        if ((field[0] & 0x80) != 0)
        {
            if (field[0] != 0x80) return false;
            foreach (byte b in field[1..])
            {
                if (number >> 55 != 0) return false;
                number = (number << 8) | b;
            }
            return true;
        }
        var digits = field.Trim(" \0"u8);
        foreach (byte b in digits)
        {
            if (b is < (byte)'0' or > (byte)'7') return false;
            number = (number << 3) | (uint)(b - '0');
        }
        return true;
    }

    /// <summary>Name, or prefix and name where the header is POSIX ustar (GNU keeps other things in the prefix).</summary>
    internal static byte[] Name(ReadOnlySpan<byte> header)
    {
        var name = Text(header[..NameLength]);
        var prefix = header.Slice(MagicOffset, 6).SequenceEqual("ustar\0"u8) ? Text(header.Slice(PrefixOffset, PrefixLength)) : default;
        if (prefix.IsEmpty) return name.ToArray();
        byte[] whole = new byte[prefix.Length + 1 + name.Length];
        prefix.CopyTo(whole);
        whole[prefix.Length] = (byte)'/';
        name.CopyTo(whole.AsSpan(prefix.Length + 1));
        return whole;
    }

    internal static ReadOnlySpan<byte> Link(ReadOnlySpan<byte> header) => Text(header.Slice(LinkOffset, NameLength));

    /// <summary>A ustar header. Name and link are cut at what fits; a size that does not fit is written as 0.</summary>
    internal static void Write(
        Span<byte> header, ReadOnlySpan<byte> name, ReadOnlySpan<byte> link, TarKind kind, uint mode, long size, long modifiedSeconds)
    {
        header.Clear();
        name[..Math.Min(name.Length, NameLength)].CopyTo(header);
        Octal(header.Slice(ModeOffset, 8), mode);
        Octal(header.Slice(UidOffset, 8), 0);
        Octal(header.Slice(GidOffset, 8), 0);
        Octal(header.Slice(SizeOffset, 12), size <= MaxOctalSize ? size : 0);
        Octal(header.Slice(ModifiedOffset, 12), Math.Clamp(modifiedSeconds, 0, MaxOctalSize));
        header[TypeOffset] = (byte)kind;
        link[..Math.Min(link.Length, NameLength)].CopyTo(header[LinkOffset..]);
        "ustar\u000000"u8.CopyTo(header[MagicOffset..]);
        Octal(header.Slice(ChecksumOffset, 7), Sums(header).Unsigned);
        header[ChecksumOffset + 7] = (byte)' ';
    }

    internal static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> field)
    {
        int end = field.IndexOf((byte)0);
        return end < 0 ? field : field[..end];
    }

    private static (long Unsigned, long Signed) Sums(ReadOnlySpan<byte> header)
    {
        long unsigned = 0, signed = 0;
        for (int i = 0; i < BlockSize; i++)
        {
            byte b = i is >= ChecksumOffset and < ChecksumOffset + 8 ? (byte)' ' : header[i];
            unsigned += b;
            signed += (sbyte)b;
        }
        return (unsigned, signed);
    }

    private static void Octal(Span<byte> field, long number)
    {
        for (int i = field.Length - 2; i >= 0; i--, number >>= 3) field[i] = (byte)('0' + (number & 7));
        field[^1] = 0;
    }
}
