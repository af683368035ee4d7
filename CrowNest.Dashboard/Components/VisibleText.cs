using System.Buffers;
using System.Text;

namespace CrowNest.Dashboard.Components;

/// <summary>
/// Text that people or programs chose, made safe to look at: characters that would hide or reorder what stands beside them are shown
/// as signs: ASCII controls in caret notation (<c>^[</c> is escape), which every font can draw. HTML needs no care here, Blazor encodes it.
/// </summary>
internal static class VisibleText
{
    /// <summary>Controls except tab and line feed, and the characters of Unicode's bidirectional algorithm (UAX 9, 2.1 to 2.6).</summary>
    private static readonly SearchValues<char> Hidden = SearchValues.Create(
    [
        .. Enumerable.Range(0, 0x20).Where(c => c is not ('\t' or '\n')).Concat(Enumerable.Range(0x7F, 0x21))
            .Concat([0x200B, 0x200E, 0x200F, 0x061C]).Concat(Enumerable.Range(0x202A, 5)).Concat(Enumerable.Range(0x2066, 4))
            .Select(c => (char)c),
    ]);

    public static string Of(string? text)
    {
        if (text is null || text.AsSpan().IndexOfAny(Hidden) < 0)
            return text ?? "";
        var visible = new StringBuilder(text.Length);
        foreach (var c in text)
            Append(visible, c);
        return visible.ToString();
    }

    /// <summary>Adds the character itself, or the sign that stands for it.</summary>
    public static void Append(StringBuilder text, char c)
    {
        if (!Hidden.Contains(c))
            text.Append(c);
        else if (c is < ' ' or '\u007F')
            text.Append('^').Append((char)(c ^ 0x40));
        else
            text.Append('\uFFFD');
    }

    /// <summary>A name, all of it on one line: line feeds and tabs become signs too.</summary>
    public static string Name(string? name) =>
        Of(name).Replace("\n", "^J", StringComparison.Ordinal).Replace("\t", "^I", StringComparison.Ordinal);

    /// <summary>The first line, cut to a length that suits a title.</summary>
    public static string Title(string? text, int length = 60)
    {
        var line = Of(text).Trim().Split('\n')[0].TrimEnd();
        return line.Length <= length ? line : line[..length].TrimEnd() + "…";
    }
}
