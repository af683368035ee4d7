using System.Text;

namespace CrowNest.Api.Http;

/// <summary>
/// Headers of bytes that somebody else has written: whatever they are, a browser saves them and never runs them on our origin.
/// </summary>
internal static class Attachment
{
    private const int MaxNameLength = 255;
    private const string NameOfNothing = "download";

    /// <param name="contentType">A valid media type.</param>
    /// <param name="fileName">Any text; what would be unsafe in a header or in a folder is replaced.</param>
    public static void SetHeaders(HttpResponse response, string contentType, string fileName)
    {
        response.ContentType = contentType;
        var headers = response.Headers;
        headers.ContentDisposition = Disposition(fileName);
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = "sandbox; default-src 'none'";
        headers.CacheControl = "private, no-store";
    }

    /// <summary>RFC 6266: an ASCII name for everyone and, when that is not the whole truth, the real one as RFC 8187 says.</summary>
    internal static string Disposition(string fileName)
    {
        var name = Safe(fileName);
        var ascii = new StringBuilder(name.Length);
        foreach (var rune in name.EnumerateRunes())
        {
            // A percent sign is left out because some clients decode what follows it.
            ascii.Append(rune is { IsAscii: true, Value: not ('"' or '%') } ? (char)rune.Value : '_');
        }

        var fallback = ascii.ToString();
        return fallback == name
            ? $"attachment; filename=\"{fallback}\""
            : $"attachment; filename=\"{fallback}\"; filename*=UTF-8''{Escape(name)}";
    }

    /// <summary>Without control and formatting characters, path separators, and leading dots or spaces.</summary>
    private static string Safe(string fileName)
    {
        var name = new StringBuilder(fileName.Length);
        foreach (var rune in fileName.EnumerateRunes())
        {
            if (name.Length + rune.Utf16SequenceLength > MaxNameLength)
            {
                break;
            }

            var category = Rune.GetUnicodeCategory(rune);
            var isUnsafe = rune.Value is '/' or '\\' or ':' or '\ufffd' || category is System.Globalization.UnicodeCategory.Control
                or System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator
                or System.Globalization.UnicodeCategory.ParagraphSeparator;
            name.Append(isUnsafe ? "_" : rune.ToString());
        }

        var trimmed = name.ToString().Trim(' ').TrimStart('.');
        return trimmed.Length == 0 ? NameOfNothing : trimmed;
    }

    /// <summary>RFC 8187's <c>attr-char</c> as they are, the rest percent-encoded.</summary>
    private static string Escape(string name)
    {
        var text = new StringBuilder();
        foreach (var b in Encoding.UTF8.GetBytes(name))
        {
            if (b < 0x80 && (char.IsAsciiLetterOrDigit((char)b) || "!#$&+-.^_`|~".Contains((char)b, StringComparison.Ordinal)))
            {
                text.Append((char)b);
            }
            else
            {
                text.Append('%').Append(b.ToString("X2", System.Globalization.CultureInfo.InvariantCulture));
            }
        }

        return text.ToString();
    }
}
