using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Files;

/// <summary>Files and directories of any size, as streams (docs/reference/api.md 6; upload and archive are additions).</summary>
internal static class FileTransfer
{
    public const string ArchiveType = "application/gzip";

    private sealed record Extracted(long Entries, long Bytes);

    public static async Task DownloadAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, Transfers transfers, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var path = FileRules.QueryPath(context.Request);
        using var response = await files.OpenAsync(sandbox, SandboxFiles.Route("/content", ("path", path)), cancellationToken);
        // A file that shrinks meanwhile breaks the connection off: half a file must not look like a whole one.
        context.Response.ContentLength = AgentHeaders.Size(response);
        await SendAsync(context, transfers, response, MediaTypes.Unknown, NameOf(path), cancellationToken);
    }

    public static async Task DownloadArchiveAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, Transfers transfers, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var path = FileRules.QueryPath(context.Request, optional: true);
        using var response = await files.OpenAsync(sandbox, SandboxFiles.Route("/archive", ("path", path)), cancellationToken);
        await SendAsync(context, transfers, response, ArchiveType, $"{NameOf(path)}.tar.gz", cancellationToken);
    }

    public static async Task<UploadedFile> UploadAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, Transfers transfers, IOptions<FilesOptions> options,
        CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var request = context.Request;
        var ceiling = options.Value.MaxUploadBytes;
        var expected = FileRules.QueryNumber(request, "sizeBytes");
        if (expected > ceiling)
        {
            throw FileRules.TooLarge(ceiling);
        }

        var route = SandboxFiles.Route("/content", ("path", FileRules.QueryPath(request)),
            ("overwrite", FileRules.QueryFlag(request, "overwrite", whenAbsent: true)),
            ("createParents", FileRules.QueryFlag(request, "createParents", whenAbsent: false)), ("maxBytes", ceiling),
            ("sha256", FileRules.Sha256(Paging.Single(request, "sha256"))));
        var file = await UploadAsync<AgentFile>(context, files, transfers, sandbox, route, ceiling, expected, cancellationToken);
        await files.CountWrittenAsync(sandbox, file.SizeBytes, CancellationToken.None);
        return new UploadedFile(
            SandboxFiles.ToStat(file), file.Sha256 ?? throw new ApiException(ErrorCodes.RuntimeError, "The sandbox's node told no digest."));
    }

    public static async Task<ExtractedArchiveResponse> UploadArchiveAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, Transfers transfers, IOptions<FilesOptions> options,
        CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var limits = options.Value;
        var route = SandboxFiles.Route("/archive", ("path", FileRules.QueryPath(context.Request, optional: true)),
            ("maxBytes", limits.MaxArchiveBytes), ("maxEntries", limits.MaxArchiveEntries));
        var extracted = await UploadAsync<Extracted>(
            context, files, transfers, sandbox, route, limits.MaxUploadBytes, expected: null, cancellationToken);
        await files.CountWrittenAsync(sandbox, extracted.Bytes, CancellationToken.None);
        return new ExtractedArchiveResponse(new ExtractedArchive(extracted.Entries, extracted.Bytes));
    }

    private static async Task<T> UploadAsync<T>(
        HttpContext context, SandboxFiles files, Transfers transfers, SandboxRow sandbox, string route, long ceiling, long? expected,
        CancellationToken cancellationToken) =>
        await files.UploadAsync<T>(sandbox, route, () => new UploadContent(context, transfers, ceiling, expected), cancellationToken);

    private static async Task SendAsync(
        HttpContext context, Transfers transfers, HttpResponseMessage response, string contentType, string fileName,
        CancellationToken cancellationToken)
    {
        Attachment.SetHeaders(context.Response, contentType, fileName);
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            await transfers.SendAsync(context, body);
        }
        catch (Exception e) when (e is HttpRequestException or IOException && !cancellationToken.IsCancellationRequested)
        {
            throw new ApiException(ErrorCodes.RuntimeError, "What was read from the sandbox broke off. Try again.");
        }
    }

    /// <summary>The base name of a normalized path.</summary>
    private static string NameOf(string path) => path[(path.LastIndexOf('/') + 1)..];
}
