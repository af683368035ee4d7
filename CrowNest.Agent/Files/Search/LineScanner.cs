using System.Text;
using System.Text.Unicode;

namespace CrowNest.Agent.Files.Search;

/// <summary>A line with a match; both numbers count from 1.</summary>
internal readonly record struct LineMatch(int Line, int Column, string Preview);

/// <summary>
/// Takes a file's bytes block by block and looks at its lines. One longer than a block is looked at in pieces. A file that is not
/// UTF-8, or holds NUL, matches nothing, not even before the place that shows it.
/// </summary>
internal sealed class LineScanner(LinePattern pattern)
{
    private const int MaxPreview = 200;
    private const int BeforeMatch = 40;

    private readonly char[] _line = new char[FileBuffer.Size];
    private readonly List<LineMatch> _matches = [];
    private int _number;

    internal IReadOnlyList<LineMatch> Matches => _matches;

    internal void Begin()
    {
        _matches.Clear();
        _number = 1;
    }

    /// <summary>
    /// Looks at the whole lines in <paramref name="bytes"/> and answers how many bytes they are; the rest comes again with what
    /// follows it. -1: this is no text.
    /// </summary>
    internal int Scan(ReadOnlySpan<byte> bytes, bool isLast, int maxMatches)
    {
        int end = isLast ? bytes.Length : bytes.LastIndexOf((byte)'\n') + 1;
        // No end in sight: a piece that does not cut a character in two.
        bool cut = end == 0;
        if (cut) end = WholeCharacters(bytes);
        var lines = bytes[..end];
        if (lines.Contains((byte)0) || !Utf8.IsValid(lines)) return -1;
        while (!lines.IsEmpty)
        {
            int length = lines.IndexOf((byte)'\n');
            var line = length < 0 ? lines : lines[..length];
            if (_matches.Count < maxMatches) Look(line);
            lines = length < 0 ? default : lines[(length + 1)..];
            if (length >= 0) _number++;
        }
        return end;
    }

    private void Look(ReadOnlySpan<byte> bytes)
    {
        int length = Encoding.UTF8.GetChars(bytes, _line);
        var line = _line.AsSpan(0, length).TrimEnd('\r');
        int index = pattern.IndexIn(line);
        if (index < 0 || (_matches.Count > 0 && _matches[^1].Line == _number)) return;
        int start = index < BeforeMatch ? 0 : index - BeforeMatch;
        // Not into the middle of a pair.
        if (start > 0 && char.IsLowSurrogate(line[start])) start--;
        int end = Math.Min(line.Length, start + MaxPreview);
        if (end < line.Length && char.IsLowSurrogate(line[end])) end--;
        _matches.Add(new LineMatch(_number, index + 1, line[start..end].ToString()));
    }

    private static int WholeCharacters(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.Length;
        for (int back = 1; back <= Math.Min(3, bytes.Length); back++)
        {
            byte b = bytes[^back];
            if ((b & 0xC0) == 0x80) continue;
            int needs = b >= 0xF0 ? 4 : b >= 0xE0 ? 3 : b >= 0xC0 ? 2 : 1;
            if (needs > back) end -= back;
            break;
        }
        return end;
    }
}
