using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Files;

/// <summary>
/// Files of a sandbox (docs/reference/api.md 6, docs/reference/stateset.md 3.2). Upload, archive and search are additions of this system.
/// </summary>
internal static class FileEndpoints
{
    private const string Tag = "Files";
    private const string Root = "/sandboxes/{sandboxId}/files";

    private static readonly QueryParameter PathRequired = new("path", "string", "Absolute, or relative to /workspace", Required: true);
    private static readonly QueryParameter PathOptional = new("path", "string", "Absolute, or relative to /workspace; default /workspace");
    private static readonly QueryParameter Overwrite = new("overwrite", "boolean", "Default true");
    private static readonly QueryParameter CreateParents = new("createParents", "boolean", "Default false");

    /// <summary>Of every operation on a path in a live sandbox.</summary>
    private static readonly string[] Common =
        [ErrorCodes.PathOutsideWorkspace, ErrorCodes.SandboxDestroyed, ErrorCodes.Conflict, ErrorCodes.RuntimeError];

    private static readonly string[] Reading = [.. Common, ErrorCodes.FileNotFound];

    private static readonly string[] Writing =
    [
        .. Common, ErrorCodes.ParentDirectoryNotFound, ErrorCodes.PathIsDirectory, ErrorCodes.PathNotDirectory,
        ErrorCodes.FileAlreadyExists, ErrorCodes.FileTooLarge, ErrorCodes.QuotaExceeded,
    ];

    public static IServiceCollection AddFiles(this IServiceCollection services)
    {
        services.AddOptions<FilesOptions>().BindConfiguration(FilesOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<SandboxFiles>();
        return services;
    }

    public static void MapFiles(this RouteGroupBuilder v1)
    {
        v1.MapGet(Root, FileOperations.ListAsync).RequireScope(Scopes.FileRead)
            .WithOperation("listFiles", Tag, "List a directory", o => o with
            {
                Response = typeof(FileList),
                Query = [PathOptional, new("depth", "integer", "Levels of directories, 1 to 100; default 1")],
                Errors = [.. Reading, ErrorCodes.PathNotDirectory],
            });
        v1.MapGet($"{Root}/stat", FileOperations.StatAsync).RequireScope(Scopes.FileRead)
            .WithOperation("statFile", Tag, "Describe a file or directory",
                o => o with { Response = typeof(FileResponse), Query = [PathRequired], Errors = Reading });
        v1.MapGet($"{Root}/read", FileOperations.ReadAsync).RequireScope(Scopes.FileRead)
            .WithOperation("readFile", Tag, "Read a small file", o => o with
            {
                Response = typeof(FileContent),
                Query = [PathRequired, new("encoding", "string", "`utf8` (default) or `base64`")],
                Errors = [.. Reading, ErrorCodes.PathIsDirectory, ErrorCodes.FileTooLarge, ErrorCodes.InvalidFileEncoding],
            });
        v1.MapPut(Root, FileOperations.WriteAsync).RequireScope(Scopes.FileWrite)
            .WithOperation("writeFile", Tag, "Write a small file", o => o with
            {
                Body = typeof(WriteFileRequest),
                Response = typeof(FileResponse),
                Errors = [.. Writing, ErrorCodes.InvalidFileEncoding],
            });
        v1.MapDelete(Root, FileOperations.DeleteAsync).RequireScope(Scopes.FileWrite)
            .WithOperation("deleteFile", Tag, "Remove a file or an empty directory", o => o with
            {
                Response = typeof(DeletedFile),
                Query = [PathRequired],
                Errors = [.. Reading, ErrorCodes.DirectoryNotEmpty],
            });
        v1.MapPost($"{Root}/mkdir", FileOperations.MakeDirectoryAsync).RequireScope(Scopes.FileWrite)
            .WithOperation("makeDirectory", Tag, "Make a directory",
                o => o with { Body = typeof(MakeDirectoryRequest), Response = typeof(FileResponse), Errors = Writing });
        v1.MapPost($"{Root}/move", FileOperations.MoveAsync).RequireScope(Scopes.FileWrite)
            .WithOperation("moveFile", Tag, "Move or rename a file or directory", o => o with
            {
                Body = typeof(MoveFileRequest),
                Response = typeof(FileResponse),
                Errors = [.. Writing, ErrorCodes.FileNotFound, ErrorCodes.DirectoryNotEmpty],
            });
        v1.MapPost($"{Root}/search", FileOperations.SearchAsync).RequireScope(Scopes.FileRead)
            .WithOperation("searchFiles", Tag, "Search names and contents", o => o with
            {
                Body = typeof(SearchFilesRequest),
                Response = typeof(FileMatches),
                Errors = [.. Reading, ErrorCodes.PathNotDirectory],
            });
        v1.MapFileTransfers();
    }

    private static void MapFileTransfers(this RouteGroupBuilder v1)
    {
        v1.MapPost($"{Root}/download-url", FileLinks.CreateDownloadUrlAsync).RequireScope(Scopes.FileRead)
            .WithOperation("createFileDownloadUrl", Tag, "Make a link to a file's bytes", o => o with
            {
                Body = typeof(CreateFileDownloadUrlRequest),
                Response = typeof(DownloadUrl),
                Errors = [.. Reading, ErrorCodes.PathIsDirectory],
            });
        v1.MapGet($"{Root}/download", FileTransfer.DownloadAsync).RequireScope(Scopes.FileRead).AllowSignedUrl()
            .WithOperation("downloadFile", Tag, "Download a file", o => o with
            {
                ContentType = "application/octet-stream",
                Query = [PathRequired],
                Errors = [.. Reading, ErrorCodes.PathIsDirectory],
            });
        v1.MapPost($"{Root}/upload-url", FileLinks.CreateUploadUrlAsync).RequireScope(Scopes.FileWrite)
            .WithOperation("createFileUploadUrl", Tag, "Make a link that takes a file's bytes", o => o with
            {
                Body = typeof(CreateFileUploadUrlRequest),
                Response = typeof(UploadUrl),
                Errors = [.. Common, ErrorCodes.FileTooLarge],
            });
        v1.MapPut($"{Root}/upload", FileTransfer.UploadAsync).RequireScope(Scopes.FileWrite).AllowSignedUrl()
            .WithOperation("uploadFile", Tag, "Upload a file of any size", o => o with
            {
                BodyContentType = "application/octet-stream",
                Response = typeof(UploadedFile),
                Query =
                [
                    PathRequired, Overwrite, CreateParents, new("sizeBytes", "integer", "Bytes that the body must have"),
                    new("sha256", "string", "Digest that the body must have, 64 hex digits"),
                ],
                Errors = [.. Writing, ErrorCodes.UploadChecksumMismatch, ErrorCodes.UploadSizeMismatch],
            });
        v1.MapGet($"{Root}/archive", FileTransfer.DownloadArchiveAsync).RequireScope(Scopes.FileRead)
            .WithOperation("downloadFileArchive", Tag, "Download a directory as .tar.gz", o => o with
            {
                ContentType = FileTransfer.ArchiveType,
                Query = [PathOptional],
                Errors = [.. Reading, ErrorCodes.PathNotDirectory],
            });
        v1.MapPut($"{Root}/archive", FileTransfer.UploadArchiveAsync).RequireScope(Scopes.FileWrite)
            .WithOperation("uploadFileArchive", Tag, "Extract a .tar.gz into a directory", o => o with
            {
                BodyContentType = FileTransfer.ArchiveType,
                Response = typeof(ExtractedArchiveResponse),
                Query = [PathOptional],
                Errors = [.. Reading, ErrorCodes.PathNotDirectory, ErrorCodes.FileTooLarge, ErrorCodes.QuotaExceeded],
            });
    }
}
