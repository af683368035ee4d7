namespace CrowNest.Dashboard.Files;

/// <summary>
/// The picture formats that are shown, told by their first bytes and never by their name: what is SVG or HTML inside stays a download.
/// </summary>
internal static class ImageType
{
    /// <summary>Bytes that <see cref="Of"/> looks at.</summary>
    public const int SignatureBytes = 12;

    /// <summary>Media type; null for anything else.</summary>
    public static string? Of(ReadOnlySpan<byte> start) => start switch
    {
        [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => "image/png",
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', (byte)'7' or (byte)'9', (byte)'a', ..] => "image/gif",
        _ when start.Length >= SignatureBytes && start[..4].SequenceEqual("RIFF"u8) && start[8..12].SequenceEqual("WEBP"u8) => "image/webp",
        _ => null,
    };
}
