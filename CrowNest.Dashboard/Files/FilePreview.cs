using System.Buffers;
using System.Text;
using CrowNest.Client;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Files;

internal enum PreviewKind
{
    Text,
    Image,
    Binary,
    Folder,
}

/// <summary>What can be shown of a file.</summary>
/// <param name="Text">The beginning of the file, at most <see cref="ShownBytes"/>; empty for anything but text.</param>
/// <param name="IsCut">The file has more than is shown.</param>
/// <param name="IsRepaired">Bytes that are not UTF-8 were replaced.</param>
internal sealed record FilePreview(FileStat File, PreviewKind Kind, string Text = "", bool IsCut = false, bool IsRepaired = false)
{
    public const int ShownBytes = Limits.DirectFileBytes;

    /// <summary>A larger picture is only downloaded.</summary>
    public const long ImageBytes = 32 * 1024 * 1024;

    /// <summary>Controls that no text has; escape is one of them in logs.</summary>
    private static readonly SearchValues<char> NoText =
        SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(c => (char)c).Except(['\t', '\n', '\f', '\r', '\e'])]);

    /// <summary>Reads no more than is shown, however large the file is.</summary>
    public static async Task<FilePreview> ReadAsync(FilesClient files, string sandboxId, string path, CancellationToken cancellationToken)
    {
        var file = await files.StatAsync(sandboxId, path, cancellationToken);
        if (file.Type == FileType.Directory)
            return new FilePreview(file, PreviewKind.Folder);
        await using var download = await files.OpenAsync(sandboxId, path, cancellationToken);
        var start = new byte[(int)Math.Min(file.SizeBytes, ShownBytes)];
        try
        {
            var read = await download.Content.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken);
            return Of(file, start.AsSpan(0, read));
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            throw new CrowNestApiException(
                null, CrowNestApiException.ClientCodes.ConnectionFailed, $"The file could not be read: {exception.Message}",
                innerException: exception);
        }
    }

    internal static FilePreview Of(FileStat file, ReadOnlySpan<byte> start)
    {
        var isCut = file.SizeBytes > start.Length;
        if (ImageType.Of(start) is not null)
            return new FilePreview(file, file.SizeBytes <= ImageBytes ? PreviewKind.Image : PreviewKind.Binary, IsCut: isCut);
        if (isCut)
            start = start[..WholeCharacters(start)];
        var text = Encoding.UTF8.GetString(start is [0xEF, 0xBB, 0xBF, ..] ? start[3..] : start);
        var isRepaired = !System.Text.Unicode.Utf8.IsValid(start);
        // A NUL is in no text; other controls decide where the bytes are not UTF-8 either.
        if (text.Contains('\0') || (isRepaired && text.AsSpan().ContainsAny(NoText)))
            return new FilePreview(file, PreviewKind.Binary, IsCut: isCut);
        return new FilePreview(file, PreviewKind.Text, text.Replace("\r\n", "\n", StringComparison.Ordinal), isCut, isRepaired);
    }

    /// <summary>Length without a code point that the cut went through.</summary>
    private static int WholeCharacters(ReadOnlySpan<byte> bytes)
    {
        var lead = bytes.Length - 1;
        while (lead > 0 && bytes.Length - lead < 4 && (bytes[lead] & 0xC0) == 0x80)
            lead--;
        var needed = lead < 0 ? 0 : bytes[lead] switch { >= 0xF0 => 4, >= 0xE0 => 3, >= 0xC0 => 2, _ => 1 };
        return lead >= 0 && needed > bytes.Length - lead ? lead : bytes.Length;
    }
}
