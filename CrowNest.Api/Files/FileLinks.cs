using System.Globalization;
using CrowNest.Api.Auth;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Files;

/// <summary>
/// Signed links to a file's bytes, out of a sandbox and into it (docs/reference/api.md 2.15, 6; the second is an addition).
/// </summary>
internal static class FileLinks
{
    private static readonly IReadOnlyDictionary<string, string> UploadHeaders =
        new Dictionary<string, string> { ["content-type"] = MediaTypes.Unknown };

    public static async Task<DownloadUrl> CreateDownloadUrlAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, SignedUrls urls, IOptions<ApiOptions> options,
        CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var request = await RequestBody.ReadAsync<CreateFileDownloadUrlRequest>(context, cancellationToken);
        var path = FileRules.Path("path", request.Path);
        var file = await files.AskAsync<AgentFile>(
            sandbox, HttpMethod.Get, SandboxFiles.Route("/stat", ("path", path)), body: null, cancellationToken);
        if (file.Type == FileType.Directory)
        {
            throw new ApiException(ErrorCodes.PathIsDirectory, "The path is a directory: download it as an archive.");
        }

        var target = new LinkTarget(HttpMethods.Get, $"/v1/sandboxes/{sandbox.Id}/files/download", ("path", path));
        var (url, expiresAt) = await urls.LinkAsync(caller, target, options.Value.DownloadUrlLifetime, cancellationToken);
        return new DownloadUrl(url, target.Method, expiresAt, DownloadAuthMode.ApiKey);
    }

    public static async Task<UploadUrl> CreateUploadUrlAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, SignedUrls urls, IOptions<ApiOptions> options,
        IOptions<FilesOptions> limits, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var request = await RequestBody.ReadAsync<CreateFileUploadUrlRequest>(context, cancellationToken);
        var path = FileRules.PathBelow("path", request.Path);
        var ceiling = limits.Value.MaxUploadBytes;
        if (request.SizeBytes is < 0)
        {
            throw ApiException.InvalidField("sizeBytes", "'sizeBytes' must be at least 0.");
        }

        if (request.SizeBytes > ceiling)
        {
            throw FileRules.TooLarge(ceiling);
        }

        var sha256 = FileRules.Sha256(request.Sha256);
        var lifetime = FileRules.Lifetime(request.ExpiresInSeconds) ?? options.Value.DownloadUrlLifetime;
        await files.ReadyAsync(sandbox, cancellationToken);
        var target = new LinkTarget(
            HttpMethods.Put, $"/v1/sandboxes/{sandbox.Id}/files/upload", ("path", path),
            ("overwrite", request.Overwrite == false ? "false" : null), ("createParents", request.CreateParents == true ? "true" : null),
            ("sizeBytes", request.SizeBytes?.ToString(CultureInfo.InvariantCulture)), ("sha256", sha256));
        var (url, expiresAt) = await urls.LinkAsync(caller, target, lifetime, cancellationToken);
        return new UploadUrl(url, target.Method, UploadHeaders, request.SizeBytes ?? ceiling, expiresAt);
    }
}
