using System.Text;
using System.Text.Json.Nodes;
using CrowNest.Api.Files;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Sandboxes;
using Microsoft.Net.Http.Headers;

namespace CrowNest.Api.Artifacts;

/// <summary>An export that passed every rule which can be decided outside of the sandbox.</summary>
/// <param name="SourcePath">Absolute and normalized.</param>
internal sealed record CheckedArtifact(
    string SourcePath, string Name, string? RemotePath, string ContentType, IReadOnlyDictionary<string, string> Metadata, string? SessionId);

/// <summary>
/// What an export may ask for (docs/reference/api.md 7.2, docs/reference/stateset.md 3.1). Every method throws what is wrong.
/// </summary>
internal static class ArtifactRules
{
    private static readonly IReadOnlyDictionary<string, string> NoMetadata = new Dictionary<string, string>();

    public static CheckedArtifact Check(CreateArtifactRequest request)
    {
        var path = FileRules.Path("path", request.Path);
        if (request.Name is { } given && given.Length is 0 or > Limits.NameLength)
        {
            throw ApiException.InvalidField("name", $"'name' must have 1 to {Limits.NameLength} characters.");
        }

        if (request.RemotePath is { } wanted && !IsRemotePath(wanted))
        {
            throw ApiException.InvalidField("remotePath",
                $"'remotePath' must be a relative path of 1 to {Limits.RemotePathBytes} bytes without empty, '.' or '..' segments, "
                + "backslashes and control characters.");
        }

        // A file may have a name that is no remote path; it then has none.
        var below = WorkspacePath.Below(path);
        var remotePath = request.RemotePath ?? (IsRemotePath(below) ? below : null);
        var name = request.Name ?? Name(remotePath ?? path);
        Metadata.Validate(request.Metadata ?? NoMetadata);
        return new CheckedArtifact(
            path, name, remotePath, ContentType(request.ContentType) ?? MediaTypes.Of(name), request.Metadata ?? NoMetadata, request.SessionId);
    }

    private static string? ContentType(string? contentType)
    {
        if (contentType is null)
        {
            return null;
        }

        // Printable ASCII only: it becomes a header.
        return contentType.Length <= Limits.ContentTypeLength && contentType.All(c => c is >= ' ' and <= '~')
            && MediaTypeHeaderValue.TryParse(contentType, out var type) && !type.MatchesAllTypes && !type.MatchesAllSubTypes
            ? contentType
            : throw new ApiException(ErrorCodes.InvalidRequest, "'contentType' must be a media type, for example text/plain.",
                new JsonObject { ["field"] = "contentType", ["max"] = Limits.ContentTypeLength });
    }

    private static bool IsRemotePath(string path) =>
        path.Length > 0 && Encoding.UTF8.GetByteCount(path) <= Limits.RemotePathBytes
        && !path.Any(c => c == '\\' || char.IsControl(c)) && path.Split('/').All(s => s is not ("" or "." or ".."));

    /// <summary>The base name; a remote path's may be longer than a name, and is then cut between two characters.</summary>
    private static string Name(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        return name.Length <= Limits.NameLength
            ? name
            : name[..(char.IsHighSurrogate(name[Limits.NameLength - 1]) ? Limits.NameLength - 1 : Limits.NameLength)];
    }
}
