namespace CrowNest.Agent.Files;

/// <summary>The ordinal order of strings (by UTF-16 unit, as .NET and JavaScript compare), on their UTF-8 bytes.</summary>
internal static class Utf8Order
{
    internal static int Compare(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        int same = a.CommonPrefixLength(b);
        if (same == a.Length || same == b.Length) return a.Length - b.Length;
        byte x = a[same], y = b[same];
        // Byte order is code point order, and differs in one thing: a pair of surrogates (from F0 on) sorts before U+E000 (from EE on).
        bool isPairX = x >= 0xF0, isPairY = y >= 0xF0;
        if (isPairX != isPairY && Math.Min(x, y) >= 0xEE) return isPairX ? -1 : 1;
        return x - y;
    }
}
