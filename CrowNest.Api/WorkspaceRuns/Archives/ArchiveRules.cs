using System.Globalization;
using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;

namespace CrowNest.Api.WorkspaceRuns.Archives;

/// <summary>What an upload says of its bytes before it sends them.</summary>
/// <param name="Sha256">Lower-case hex.</param>
internal sealed record AnnouncedArchive(string Sha256, long SizeBytes)
{
    /// <summary>Whether the run's archive is just this.</summary>
    public bool IsArchiveOf(WorkspaceRunRow run) => run.ArchiveSha256 == Sha256 && run.ArchiveSizeBytes == SizeBytes;
}

/// <summary>What uploads of archives may ask for, and how they are refused (docs/reference/api.md 10.4, 10.5).</summary>
internal static class ArchiveRules
{
    public const string Sha256Header = "x-crownest-archive-sha256";
    public const string SizeHeader = "x-crownest-archive-size";
    public const string ContentType = "application/gzip";

    /// <summary>The two headers of a direct upload, which must not contradict <c>Content-Length</c>.</summary>
    public static AnnouncedArchive ReadHeaders(HttpRequest request, long ceiling)
    {
        var sha256 = Sha256(Sha256Header, request.Headers[Sha256Header]);
        var size = long.TryParse(request.Headers[SizeHeader], NumberStyles.None, CultureInfo.InvariantCulture, out var parsed)
            ? parsed
            : (long?)null;
        var announced = new AnnouncedArchive(sha256, Size(SizeHeader, size, ceiling));
        CheckLength(request, announced.SizeBytes, ceiling);
        return announced;
    }

    /// <summary>The body of a staged upload's first and last step.</summary>
    public static AnnouncedArchive ReadBody(ArchiveTransferRequest body, long ceiling) =>
        new(Sha256("sha256", body.Sha256), Size("sizeBytes", body.SizeBytes, ceiling));

    /// <summary>Refuses by <c>Content-Length</c>, before anything is read.</summary>
    public static void CheckLength(HttpRequest request, long expected, long ceiling)
    {
        if (request.ContentLength > ceiling)
        {
            throw TooLarge(ceiling);
        }

        if (request.ContentLength is { } length && length != expected)
        {
            throw SizeMismatch(expected);
        }
    }

    public static ApiException TooLarge(long ceiling) => new(
        ErrorCodes.FileTooLarge, $"The archive may have at most {ceiling} bytes.", new JsonObject { ["max"] = ceiling });

    public static ApiException SizeMismatch(long expected, long? received = null)
    {
        var details = new JsonObject { ["sizeBytes"] = expected };
        if (received is not null)
        {
            details["receivedBytes"] = received;
        }

        return new ApiException(
            ErrorCodes.UploadSizeMismatch, $"The upload does not have the {expected} bytes that were announced.", details);
    }

    public static ApiException ChecksumMismatch(string expected, string received) => new(
        ErrorCodes.UploadChecksumMismatch, "The SHA-256 of the upload is not the one that was announced.",
        new JsonObject { ["sha256"] = expected, ["receivedSha256"] = received });

    /// <summary>409: the run takes no archive, or no other one.</summary>
    public static ApiException Conflict(WorkspaceRunRow run) => new(
        ErrorCodes.UploadConflict, $"The run is {run.Status} and takes no archive.", new JsonObject { ["status"] = run.Status });

    private static string Sha256(string field, string? digest) =>
        digest is { Length: 64 } && digest.All(char.IsAsciiHexDigit)
            ? digest.ToLowerInvariant()
            : throw ApiException.InvalidField(field, $"'{field}' is required: the archive's SHA-256 as 64 hex digits.");

    private static long Size(string field, long? size, long ceiling) => size switch
    {
        null or < 1 => throw ApiException.InvalidField(field, $"'{field}' is required: the archive's size, a positive number of bytes."),
        _ when size > ceiling => throw TooLarge(ceiling),
        _ => size.Value,
    };
}
