using System.Text;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Files;

/// <summary>The operations of docs/reference/api.md 6 that answer in JSON.</summary>
internal static class FileOperations
{
    private const int MaxDepth = 100;

    /// <summary><see cref="WriteFileRequest"/> without its content.</summary>
    private sealed record WriteMembers(string? Path, string? Encoding, bool? Overwrite, bool? CreateParents);

    public static async Task<FileList> ListAsync(
        string sandboxId, Caller caller, HttpRequest request, SandboxFiles files, IOptions<FilesOptions> options,
        CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var path = FileRules.QueryPath(request, optional: true);
        var depth = FileRules.Within("depth", (int?)Math.Min(int.MaxValue, FileRules.QueryNumber(request, "depth") ?? 1), 1, 1, MaxDepth);
        var route = SandboxFiles.Route("", ("path", path), ("depth", depth), ("maxEntries", options.Value.MaxListEntries));
        var list = await files.AskAsync<AgentFileList>(sandbox, HttpMethod.Get, route, body: null, cancellationToken);
        return new FileList([.. list.Entries.Select(SandboxFiles.ToEntry)], list.Truncated ? true : null);
    }

    public static async Task<FileResponse> StatAsync(
        string sandboxId, Caller caller, HttpRequest request, SandboxFiles files, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var route = SandboxFiles.Route("/stat", ("path", FileRules.QueryPath(request)));
        return await AskAsync(files, sandbox, HttpMethod.Get, route, body: null, cancellationToken);
    }

    public static async Task<FileContent> ReadAsync(
        string sandboxId, Caller caller, HttpRequest request, SandboxFiles files, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var path = FileRules.QueryPath(request);
        var encoding = FileRules.EncodingOf(Paging.Single(request, "encoding"));
        var route = SandboxFiles.Route("/content", ("path", path), ("maxBytes", Limits.DirectFileBytes));
        try
        {
            using var response = await files.OpenAsync(sandbox, route, cancellationToken);
            var bytes = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            var content = encoding == FileEncoding.Utf8 ? Encoding.UTF8.GetString(bytes) : Convert.ToBase64String(bytes);
            return new FileContent(content, encoding, bytes.Length, AgentHeaders.Path(response) ?? path);
        }
        catch (ApiException e) when (e.Code == ErrorCodes.FileTooLarge)
        {
            throw FileRules.TooLarge(Limits.DirectFileBytes);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new ApiException(ErrorCodes.RuntimeError, "The file could not be read to its end. Try again.");
        }
    }

    public static async Task<FileResponse> WriteAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var body = await ReadWriteAsync(context, cancellationToken);
        var request = body.Read<WriteMembers>();
        var path = FileRules.Path("path", request.Path);
        var bytes = FileRules.Content(body, request.Encoding);
        var route = SandboxFiles.Route("/content", ("path", path), ("overwrite", request.Overwrite ?? true),
            ("createParents", request.CreateParents ?? false), ("maxBytes", Limits.DirectFileBytes));
        var written = await AskAsync(files, sandbox, HttpMethod.Put, route, () => new ReadOnlyMemoryContent(bytes), cancellationToken);
        await files.CountWrittenAsync(sandbox, bytes.Length, cancellationToken);
        return written;
    }

    public static async Task<DeletedFile> DeleteAsync(
        string sandboxId, Caller caller, HttpRequest request, SandboxFiles files, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var path = FileRules.PathBelow("path", Paging.Single(request, "path"));
        await files.DeleteAsync(sandbox, SandboxFiles.Route("", ("path", path)), cancellationToken);
        return new DeletedFile(true);
    }

    public static async Task<FileResponse> MakeDirectoryAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var request = await RequestBody.ReadAsync<MakeDirectoryRequest>(context, cancellationToken);
        var path = FileRules.Path("path", request.Path);
        var body = new { path, parents = request.Parents ?? false };
        return await AskAsync(files, sandbox, HttpMethod.Post, "/mkdir", () => NodeClient.ToContent(body), cancellationToken);
    }

    public static async Task<FileResponse> MoveAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var request = await RequestBody.ReadAsync<MoveFileRequest>(context, cancellationToken);
        var from = FileRules.PathBelow("from", request.From);
        var to = FileRules.Path("to", request.To);
        if (to.StartsWith(from + "/", StringComparison.Ordinal))
        {
            throw ApiException.InvalidField("to", "A directory cannot be moved into itself.");
        }

        var body = new { from, to, overwrite = request.Overwrite ?? false };
        return await AskAsync(files, sandbox, HttpMethod.Post, "/move", () => NodeClient.ToContent(body), cancellationToken);
    }

    public static async Task<FileMatches> SearchAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var request = await RequestBody.ReadAsync<SearchFilesRequest>(context, cancellationToken);
        var body = FileSearch.Check(request);
        var found = await files.AskAsync<FileSearch.Found>(
            sandbox, HttpMethod.Post, "/search", () => NodeClient.ToContent(body), cancellationToken);
        return new FileMatches(
            [.. found.Matches.Select(FileSearch.ToMatch)], found.Truncated ? true : null, found.Truncated ? found.StoppedBy : null);
    }

    private static async Task<RequestBody> ReadWriteAsync(HttpContext context, CancellationToken cancellationToken)
    {
        try
        {
            return await RequestBody.ReadAsync(context, cancellationToken, rawMember: "content");
        }
        catch (ApiException e) when (e.Status == StatusCodes.Status413PayloadTooLarge)
        {
            // What makes a body of this route too large is the file in it.
            throw FileRules.TooLarge(Limits.DirectFileBytes);
        }
    }

    private static async Task<FileResponse> AskAsync(
        SandboxFiles files, SandboxRow sandbox, HttpMethod method, string route, Func<HttpContent>? body,
        CancellationToken cancellationToken) =>
        new(SandboxFiles.ToStat(await files.AskAsync<AgentFile>(sandbox, method, route, body, cancellationToken)));
}
