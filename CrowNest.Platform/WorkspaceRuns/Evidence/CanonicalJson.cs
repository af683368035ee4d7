using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace CrowNest.Platform.WorkspaceRuns.Evidence;

/// <summary>
/// JSON in the one form of RFC 8785, so that a digest can be recomputed by anyone from the parsed value: members sorted by UTF-16 code
/// units, no white space, the shortest escapes. Numbers are integers within ±2^53, which is all that evidence has.
/// </summary>
public static class CanonicalJson
{
    private const long MaxSafeInteger = 1L << 53;

    /// <exception cref="ArgumentException">A number is no integer that every JSON reader reads alike.</exception>
    public static byte[] Write(JsonElement value)
    {
        var text = new StringBuilder();
        Append(text, value);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static void Append(StringBuilder text, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                AppendAll(text, '{', '}', value.EnumerateObject().OrderBy(m => m.Name, StringComparer.Ordinal), member =>
                {
                    AppendString(text, member.Name);
                    text.Append(':');
                    Append(text, member.Value);
                });
                break;
            case JsonValueKind.Array:
                AppendAll(text, '[', ']', value.EnumerateArray(), item => Append(text, item));
                break;
            case JsonValueKind.String:
                AppendString(text, value.GetString()!);
                break;
            case JsonValueKind.Number:
                if (!value.TryGetInt64(out var number) || Math.Abs(number) > MaxSafeInteger)
                {
                    throw new ArgumentException($"{value} is not a safe integer.", nameof(value));
                }

                text.Append(number.ToString(CultureInfo.InvariantCulture));
                break;
            default:
                text.Append(value.ValueKind switch { JsonValueKind.True => "true", JsonValueKind.False => "false", _ => "null" });
                break;
        }
    }

    private static void AppendAll<T>(StringBuilder text, char open, char close, IEnumerable<T> items, Action<T> append)
    {
        text.Append(open);
        var first = true;
        foreach (var item in items)
        {
            if (!first)
            {
                text.Append(',');
            }

            first = false;
            append(item);
        }

        text.Append(close);
    }

    private static readonly SearchValues<char> Escaped = SearchValues.Create(
        ['"', '\\', .. Enumerable.Range(0, 0x20).Select(c => (char)c)]);

    private static void AppendString(StringBuilder text, string value)
    {
        text.Append('"');
        for (var rest = value.AsSpan(); !rest.IsEmpty;)
        {
            var plain = rest.IndexOfAny(Escaped);
            text.Append(plain < 0 ? rest : rest[..plain]);
            if (plain < 0)
            {
                break;
            }

            text.Append(rest[plain] switch
            {
                '"' => "\\\"",
                '\\' => @"\\",
                '\b' => @"\b",
                '\t' => @"\t",
                '\n' => @"\n",
                '\f' => @"\f",
                '\r' => @"\r",
                var control => $"\\u{(int)control:x4}",
            });
            rest = rest[(plain + 1)..];
        }

        text.Append('"');
    }
}
