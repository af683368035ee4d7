namespace CrowNest.Dashboard.Commands;

/// <summary>The look that SGR codes have set so far (ECMA-48 8.3.117, and the 256 and 24-bit colours of xterm).</summary>
internal sealed class AnsiStyle
{
    private readonly SortedSet<string> _attributes = new(StringComparer.Ordinal);
    private string? _foreground;
    private string? _background;

    /// <summary>Classes of the stylesheet; null for plain text.</summary>
    public string? Classes { get; private set; }

    public string? ForegroundHex => Hex(_foreground);

    public string? BackgroundHex => Hex(_background);

    public void Apply(ReadOnlySpan<int> codes)
    {
        for (var i = 0; i < codes.Length; i++)
        {
            switch (codes[i])
            {
                case 0:
                    _attributes.Clear();
                    (_foreground, _background) = (null, null);
                    break;
                case 1: _attributes.Add("bold"); break;
                case 2: _attributes.Add("dim"); break;
                case 3: _attributes.Add("italic"); break;
                case 4: _attributes.Add("underline"); break;
                case 7: _attributes.Add("inverse"); break;
                case 9: _attributes.Add("strike"); break;
                case 21 or 22: _attributes.ExceptWith(["bold", "dim"]); break;
                case 23: _attributes.Remove("italic"); break;
                case 24: _attributes.Remove("underline"); break;
                case 27: _attributes.Remove("inverse"); break;
                case 29: _attributes.Remove("strike"); break;
                case >= 30 and <= 37 and var code: _foreground = $"fg-{code - 30}"; break;
                case >= 90 and <= 97 and var code: _foreground = $"fg-{code - 90 + 8}"; break;
                case >= 40 and <= 47 and var code: _background = $"bg-{code - 40}"; break;
                case >= 100 and <= 107 and var code: _background = $"bg-{code - 100 + 8}"; break;
                case 38: _foreground = Extended(codes, ref i, "fg") ?? _foreground; break;
                case 48: _background = Extended(codes, ref i, "bg") ?? _background; break;
                case 39: _foreground = null; break;
                case 49: _background = null; break;
                default: break;
            }
        }

        var classes = string.Join(' ', _attributes.Append(Class(_foreground)).Append(Class(_background)).Where(name => name is not null));
        Classes = classes.Length > 0 ? classes : null;
    }

    /// <summary><c>38;5;N</c> and <c>38;2;R;G;B</c>; null when it is cut short or out of range.</summary>
    private static string? Extended(ReadOnlySpan<int> codes, ref int i, string kind)
    {
        var rest = codes[(i + 1)..];
        switch (rest)
        {
            case [5, var index, ..]:
                i += 2;
                return index switch
                {
                    < 0 or > 255 => null,
                    < 16 => $"{kind}-{index}",
                    < 232 => Cube(index - 16),
                    _ => Rgb(8 + ((index - 232) * 10), 8 + ((index - 232) * 10), 8 + ((index - 232) * 10)),
                };
            case [2, var red, var green, var blue, ..]:
                i += 4;
                return red is < 0 or > 255 || green is < 0 or > 255 || blue is < 0 or > 255 ? null : Rgb(red, green, blue);
            default:
                i = codes.Length;
                return null;
        }
    }

    private static string Cube(int index) => Rgb(Level(index / 36), Level(index / 6 % 6), Level(index % 6));

    private static int Level(int step) => step == 0 ? 0 : 55 + (step * 40);

    private static string Rgb(int red, int green, int blue) => $"#{red:x2}{green:x2}{blue:x2}";

    private static string? Class(string? colour) => colour is ['#', ..] ? null : colour;

    private static string? Hex(string? colour) => colour is ['#', ..] ? colour : null;
}
