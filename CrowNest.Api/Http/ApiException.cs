using System.Text.Json.Nodes;
using CrowNest.Contracts;

namespace CrowNest.Api.Http;

/// <summary>An answer other than success; thrown anywhere in a request and turned into the envelope of docs/reference/api.md 2.6.</summary>
/// <param name="code">One of <see cref="ErrorCodes"/>.</param>
/// <param name="message">For people; no stack trace, no host path.</param>
/// <param name="details">Machine-readable members; none of them null (H1).</param>
internal sealed class ApiException(string code, string message, JsonObject? details = null) : Exception(message)
{
    public string Code { get; } = code;

    public JsonObject? Details { get; } = details;

    /// <summary>The code's status of docs/reference/api.md 2.6, except where the contract gives a code a second one (413).</summary>
    public int Status { get; init; } = ErrorStatus.Of(code);

    /// <summary>Sent as <c>Retry-After</c>, rounded up to seconds.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Sent as <c>Content-Range</c> with a 416.</summary>
    public string? ContentRange { get; init; }

    /// <summary>400 <c>invalid_request</c> that names the member or parameter.</summary>
    public static ApiException InvalidField(string field, string message) =>
        new(ErrorCodes.InvalidRequest, message, new JsonObject { ["field"] = field });

    /// <summary>404: unknown, or not the caller's; the two look alike (docs/reference/api.md 2.3).</summary>
    public static ApiException NotFound(string what) => new(ErrorCodes.NotFound, $"{what} not found.");
}

/// <summary>The one table from error code to HTTP status (docs/reference/api.md 2.6).</summary>
internal static class ErrorStatus
{
    private static readonly Dictionary<string, int> Statuses = new()
    {
        [ErrorCodes.InvalidRequest] = 400,
        [ErrorCodes.SandboxTtlExceeded] = 400,
        [ErrorCodes.ReservedEnvKey] = 400,
        [ErrorCodes.MissingIdempotencyKey] = 400,
        [ErrorCodes.InvalidMetadataKey] = 400,
        [ErrorCodes.InvalidMetadataValue] = 400,
        [ErrorCodes.MetadataTooLarge] = 400,
        [ErrorCodes.MetadataTooManyKeys] = 400,
        [ErrorCodes.UnsupportedRuntimeOption] = 400,
        [ErrorCodes.PathOutsideWorkspace] = 400,
        [ErrorCodes.InvalidFileEncoding] = 400,
        [ErrorCodes.PathIsDirectory] = 400,
        [ErrorCodes.PathNotDirectory] = 400,
        [ErrorCodes.UploadChecksumMismatch] = 400,
        [ErrorCodes.UploadSizeMismatch] = 400,
        [ErrorCodes.ArchiveInvalid] = 400,
        [ErrorCodes.Unauthorized] = 401,
        [ErrorCodes.InvalidApiKey] = 401,
        [ErrorCodes.Forbidden] = 403,
        [ErrorCodes.OrgSuspended] = 403,
        [ErrorCodes.FeatureNotEnabled] = 403,
        [ErrorCodes.NotFound] = 404,
        [ErrorCodes.FileNotFound] = 404,
        [ErrorCodes.ParentDirectoryNotFound] = 404,
        [ErrorCodes.UploadNotFound] = 404,
        [ErrorCodes.IdempotencyKeyReused] = 409,
        [ErrorCodes.IdempotencyRequestInProgress] = 409,
        [ErrorCodes.Conflict] = 409,
        [ErrorCodes.StreamGap] = 409,
        [ErrorCodes.FileAlreadyExists] = 409,
        [ErrorCodes.DirectoryNotEmpty] = 409,
        [ErrorCodes.UploadConflict] = 409,
        [ErrorCodes.UploadIncomplete] = 409,
        [ErrorCodes.SandboxDestroyed] = 410,
        [ErrorCodes.UploadExpired] = 410,
        [ErrorCodes.FileTooLarge] = 413,
        [ErrorCodes.ArchiveTooLarge] = 413,
        [ErrorCodes.RateLimited] = 429,
        [ErrorCodes.QuotaExceeded] = 429,
        [ErrorCodes.InternalError] = 500,
        [ErrorCodes.RuntimeError] = 500,
        [ErrorCodes.DownloadExportFailed] = 502,
    };

    public static IReadOnlyDictionary<string, int> All => Statuses;

    /// <exception cref="ArgumentException">The code is not in the table: a mistake of ours.</exception>
    public static int Of(string code) =>
        Statuses.TryGetValue(code, out var status)
            ? status
            : throw new ArgumentException($"Error code '{code}' has no status.", nameof(code));
}
