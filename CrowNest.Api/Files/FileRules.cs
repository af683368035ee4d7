using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;

namespace CrowNest.Api.Files;

/// <summary>What requests about files may ask for (docs/reference/api.md 2.13, 6). Every method throws what is wrong.</summary>
internal static class FileRules
{
    /// <summary>The absolute, normalized form of a workspace path.</summary>
    public static string Path(string field, string? path)
    {
        if (string.IsNullOrEmpty(path) || Encoding.UTF8.GetByteCount(path) > WorkspacePath.MaxBytes)
        {
            throw ApiException.InvalidField(field, $"'{field}' is required: a path of 1 to {WorkspacePath.MaxBytes} bytes.");
        }

        if (path.Contains('\0'))
        {
            throw ApiException.InvalidField(field, $"'{field}' contains a NUL character.");
        }

        return WorkspacePath.Normalize(path) ?? throw new ApiException(
            ErrorCodes.PathOutsideWorkspace, $"'{field}' must be inside {Limits.Workspace}.", new JsonObject { ["field"] = field });
    }

    /// <summary>A path other than the workspace itself.</summary>
    public static string PathBelow(string field, string? path) => Path(field, path) is var normal && normal != Limits.Workspace
        ? normal
        : throw ApiException.InvalidField(field, $"'{field}' may not be {Limits.Workspace} itself.");

    /// <summary>The parameter <c>path</c>.</summary>
    public static string QueryPath(HttpRequest request, bool optional = false) =>
        Paging.Single(request, "path") is { } path || !optional ? Path("path", Paging.Single(request, "path")) : Limits.Workspace;

    public static bool QueryFlag(HttpRequest request, string name, bool whenAbsent) => Paging.Single(request, name) switch
    {
        null => whenAbsent,
        "true" => true,
        "false" => false,
        _ => throw ApiException.InvalidField(name, $"'{name}' must be true or false."),
    };

    public static long? QueryNumber(HttpRequest request, string name) => Paging.Single(request, name) switch
    {
        null => null,
        var text when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
        _ => throw ApiException.InvalidField(name, $"'{name}' must be an integer of at least 0."),
    };

    public static string EncodingOf(string? encoding) => encoding switch
    {
        null or FileEncoding.Utf8 => FileEncoding.Utf8,
        FileEncoding.Base64 => FileEncoding.Base64,
        _ => throw WrongEncoding("encoding", "encoding must be \"utf8\" or \"base64\"."),
    };

    /// <summary>Decodes the content of a write, in its place.</summary>
    public static Memory<byte> Content(RequestBody body, string? encoding)
    {
        var content = Text(body) ?? throw ApiException.InvalidField("content", "'content' is required.");
        if (EncodingOf(encoding) == FileEncoding.Base64)
        {
            content = Base64.IsValid(content.Span) && Base64.DecodeFromUtf8InPlace(content.Span, out var length) == OperationStatus.Done
                ? content[..length]
                : throw WrongEncoding("content", "'content' is not valid base64.");
        }

        return content.Length <= Limits.DirectFileBytes ? content : throw TooLarge(Limits.DirectFileBytes);

        static Memory<byte>? Text(RequestBody body)
        {
            try
            {
                return body.ReadRaw("content");
            }
            catch (InvalidOperationException)
            {
                throw WrongEncoding("content", "'content' is not valid Unicode text.");
            }
        }
    }

    /// <summary>Lower-case form of a digest, or null.</summary>
    public static string? Sha256(string? digest) =>
        digest is null ? null
        : digest.Length == 64 && digest.All(char.IsAsciiHexDigit) ? digest.ToLowerInvariant()
        : throw ApiException.InvalidField("sha256", "'sha256' must be 64 hex digits.");

    /// <summary>A number within bounds, both included.</summary>
    public static int Within(string field, int? value, int whenAbsent, int min, int max) => value switch
    {
        null => whenAbsent,
        { } given when given >= min && given <= max => given,
        _ => throw new ApiException(ErrorCodes.InvalidRequest, $"'{field}' must be between {min} and {max}.",
            new JsonObject { ["field"] = field, ["min"] = min, ["max"] = max }),
    };

    /// <summary>Lifetime of a link.</summary>
    public static TimeSpan? Lifetime(long? seconds) => seconds switch
    {
        null => null,
        >= 1 and <= Limits.MaxLinkSeconds => TimeSpan.FromSeconds(seconds.Value),
        _ => throw new ApiException(ErrorCodes.InvalidRequest, $"'expiresInSeconds' must be between 1 and {Limits.MaxLinkSeconds}.",
            new JsonObject { ["field"] = "expiresInSeconds", ["max"] = Limits.MaxLinkSeconds }),
    };

    public static ApiException TooLarge(long max) => new(
        ErrorCodes.FileTooLarge, $"The file may have at most {max} bytes.", new JsonObject { ["max"] = max });

    public static ApiException WrongEncoding(string field, string message) =>
        new(ErrorCodes.InvalidFileEncoding, message, new JsonObject { ["field"] = field });
}
