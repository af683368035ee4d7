using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>How to write an upload.</summary>
public sealed record UploadOptions
{
    /// <summary>Whether an existing file is replaced.</summary>
    public bool Overwrite { get; init; } = true;

    /// <summary>Whether missing directories are made.</summary>
    public bool CreateParents { get; init; }

    /// <summary>64 hex digits; the upload is refused when the content has another digest.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Bytes that the stream will give; needed only where it cannot tell and the server is to check.</summary>
    public long? SizeBytes { get; init; }
}

/// <summary><c>/v1/sandboxes/{id}/files</c> (docs/reference/api.md 6). Paths are absolute or relative to <c>/workspace</c>.</summary>
public sealed class FilesClient
{
    private readonly Transport _transport;

    internal FilesClient(Transport transport) => _transport = transport;

    /// <summary>A directory's entries, by path.</summary>
    /// <param name="path">Default <c>/workspace</c>.</param>
    /// <param name="depth">Levels of directories; default 1: only the directory itself.</param>
    public Task<FileList> ListAsync(
        string sandboxId, string? path = null, int? depth = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<FileList>(new Query(PathOf(sandboxId)).Add("path", path).Add("depth", depth).ToString(), cancellationToken);

    public async Task<FileStat> StatAsync(string sandboxId, string path, CancellationToken cancellationToken = default) =>
        (await _transport.GetAsync<FileResponse>(PathOf(sandboxId, "/stat", path).ToString(), cancellationToken)).File;

    /// <summary>Content of a small file, at most 262,144 bytes; larger ones: <see cref="OpenAsync"/>.</summary>
    /// <param name="encoding">One of <see cref="FileEncoding"/>; default <c>utf8</c>, in which other bytes are replaced.</param>
    public Task<FileContent> ReadAsync(
        string sandboxId, string path, string? encoding = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<FileContent>(PathOf(sandboxId, "/read", path).Add("encoding", encoding).ToString(), cancellationToken);

    /// <summary>Writes a small file, at most 262,144 bytes; larger ones: <see cref="UploadAsync"/>.</summary>
    public Task<FileStat> WriteAsync(string sandboxId, WriteFileRequest request, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Put, PathOf(sandboxId), request, cancellationToken);

    /// <summary>Removes a file or an empty directory.</summary>
    public Task DeleteAsync(string sandboxId, string path, CancellationToken cancellationToken = default) =>
        _transport.SendAsync<DeletedFile>(
            HttpMethod.Delete, PathOf(sandboxId, "", path).ToString(), body: null, idempotencyKey: null, cancellationToken);

    /// <param name="parents">Also makes missing parents, and takes a directory that exists.</param>
    public Task<FileStat> MakeDirectoryAsync(
        string sandboxId, string path, bool parents = false, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Post, PathOf(sandboxId) + "/mkdir", new MakeDirectoryRequest(path, parents), cancellationToken);

    /// <returns>The file at its new place.</returns>
    public Task<FileStat> MoveAsync(
        string sandboxId, string from, string to, bool overwrite = false, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Post, PathOf(sandboxId) + "/move", new MoveFileRequest(from, to, overwrite), cancellationToken);

    /// <summary>A link to a file's bytes, valid on its own for a limited time.</summary>
    public Task<DownloadUrl> CreateDownloadUrlAsync(string sandboxId, string path, CancellationToken cancellationToken = default) =>
        _transport.SendAsync<DownloadUrl>(
            HttpMethod.Post, PathOf(sandboxId) + "/download-url", new CreateFileDownloadUrlRequest(path), null, cancellationToken);

    /// <summary>A link that takes a file's bytes as the body of one <c>PUT</c>, without a credential, for a limited time.</summary>
    public Task<UploadUrl> CreateUploadUrlAsync(
        string sandboxId, CreateFileUploadUrlRequest request, CancellationToken cancellationToken = default) =>
        _transport.SendAsync<UploadUrl>(HttpMethod.Post, PathOf(sandboxId) + "/upload-url", request, null, cancellationToken);

    /// <summary>A file's bytes, whatever its size.</summary>
    public Task<Download> OpenAsync(string sandboxId, string path, CancellationToken cancellationToken = default) =>
        _transport.DownloadAsync(PathOf(sandboxId, "/download", path).ToString(), range: null, cancellationToken);

    /// <summary>Writes a file of any size from a stream, which is read once from where it stands and not disposed.</summary>
    public Task<UploadedFile> UploadAsync(
        string sandboxId, string path, Stream content, UploadOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new UploadOptions();
        var query = PathOf(sandboxId, "/upload", path)
            .Add("overwrite", options.Overwrite ? null : "false")
            .Add("createParents", options.CreateParents ? "true" : null)
            .Add("sha256", options.Sha256)
            .Add("sizeBytes", options.SizeBytes);
        return _transport.UploadAsync<UploadedFile>(query.ToString(), content, "application/octet-stream", cancellationToken);
    }

    /// <summary>A directory's content as <c>.tar.gz</c>, names relative to it.</summary>
    public Task<Download> OpenArchiveAsync(string sandboxId, string? path = null, CancellationToken cancellationToken = default) =>
        _transport.DownloadAsync(
            new Query(PathOf(sandboxId) + "/archive").Add("path", path).ToString(), range: null, cancellationToken);

    /// <summary>Extracts a <c>.tar.gz</c> into a directory that exists.</summary>
    public async Task<ExtractedArchive> ExtractArchiveAsync(
        string sandboxId, Stream archive, string? path = null, CancellationToken cancellationToken = default)
    {
        var target = new Query(PathOf(sandboxId) + "/archive").Add("path", path).ToString();
        return (await _transport.UploadAsync<ExtractedArchiveResponse>(target, archive, "application/gzip", cancellationToken)).Archive;
    }

    /// <summary>Looks for names, for text in files, or for both.</summary>
    public Task<FileMatches> SearchAsync(
        string sandboxId, SearchFilesRequest request, CancellationToken cancellationToken = default) =>
        _transport.SendAsync<FileMatches>(HttpMethod.Post, PathOf(sandboxId) + "/search", request, null, cancellationToken);

    /// <summary>Copies an artifact of any sandbox into this one.</summary>
    public Task<ImportedArtifact> ImportArtifactAsync(
        string sandboxId, ImportArtifactRequest request, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        _transport.SendAsync<ImportedArtifact>(
            HttpMethod.Post, PathOf(sandboxId) + "/from-artifact", request, IdempotencyKey.Or(idempotencyKey), cancellationToken);

    private async Task<FileStat> SendAsync(HttpMethod method, string path, object body, CancellationToken cancellationToken) =>
        (await _transport.SendAsync<FileResponse>(method, path, body, idempotencyKey: null, cancellationToken)).File;

    private static string PathOf(string sandboxId) => SandboxesClient.PathOf(sandboxId) + "/files";

    private static Query PathOf(string sandboxId, string operation, string path) =>
        new Query(PathOf(sandboxId) + operation).Add("path", path);
}
