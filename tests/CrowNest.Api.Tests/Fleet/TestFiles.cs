using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace CrowNest.Api.Tests.Fleet;

/// <summary>A refusal of the agent, as docs/protocols.md 2.4 has them.</summary>
internal sealed class TestRefusal(string code, int status) : Exception
{
    public string Code => code;

    public int Status => status;
}

/// <summary>
/// The files of a <see cref="TestWorker"/>'s sandboxes: a folder on disk for each, behind the routes of docs/protocols.md 2.4 as the
/// node passes them on. Nobody but the test is in such a sandbox, so that paths are resolved plainly.
/// </summary>
internal sealed class TestFiles(string root)
{
    /// <summary>Instead of answering; true: it did.</summary>
    public Func<HttpContext, Task<bool>>? Instead { get; set; }

    /// <summary>Most bytes that all files of a sandbox may have.</summary>
    public long WorkspaceBytes { get; set; } = long.MaxValue;

    /// <summary>Where a sandbox keeps the file of a workspace path.</summary>
    public string PathOf(string sandboxId, string path)
    {
        var folder = Path.Combine(root, sandboxId);
        Directory.CreateDirectory(folder);
        return path == Limits.Workspace ? folder
            : path.StartsWith(Limits.Workspace + "/", StringComparison.Ordinal) ? Path.Combine(folder, path[(Limits.Workspace.Length + 1)..])
            : throw new TestRefusal(ErrorCodes.PathOutsideWorkspace, 400);
    }

    public void Map(IEndpointRouteBuilder server)
    {
        var routes = server.MapGroup("/internal/sandboxes/{id}/files");
        routes.AddEndpointFilter(async (context, next) =>
        {
            if (Instead is { } instead && await instead(context.HttpContext))
            {
                return Results.Empty;
            }

            if (context.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            {
                size.MaxRequestBodySize = null;
            }

            try
            {
                return await next(context);
            }
            catch (TestRefusal refusal)
            {
                return TestWorker.Refuse(refusal.Code, $"The agent says {refusal.Code}.", refusal.Status);
            }
        });
        routes.MapGet("", List);
        routes.MapDelete("", Delete);
        routes.MapGet("/stat", (string id, string path) => Stat(id, path));
        routes.MapGet("/content", ReadAsync);
        routes.MapPut("/content", async (string id, string path, bool overwrite, bool createParents, long maxBytes, string? sha256, HttpRequest request) =>
            await WriteAsync(id, path, overwrite, createParents, maxBytes, sha256, request.Body, request.HttpContext.RequestAborted));
        routes.MapPost("/mkdir", (string id, MakeDirectory body) => Make(id, body));
        routes.MapPost("/move", (string id, Move body) => MoveTo(id, body));
        routes.MapGet("/archive", ArchiveAsync);
        routes.MapPut("/archive", ExtractAsync);
        routes.MapPost("/search", (string id, Search body) => Find(id, body));
    }

    /// <summary>Opens a file as the agent would for an export.</summary>
    public FileStream Open(string id, string path)
    {
        var file = Existing(id, path);
        return Directory.Exists(file) ? throw new TestRefusal(ErrorCodes.PathIsDirectory, 400) : File.OpenRead(file);
    }

    /// <summary>Writes a file whole or not at all.</summary>
    public async Task<AgentFile> WriteAsync(
        string id, string path, bool overwrite, bool createParents, long maxBytes, string? sha256, Stream content, CancellationToken cancellationToken)
    {
        var target = PathOf(id, path);
        CheckPlace(target, overwrite, createParents);
        var beside = target + ".part";
        try
        {
            string digest;
            await using (var file = File.Create(beside))
            {
                using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
                var buffer = new byte[64 * 1024];
                int read;
                while ((read = await content.ReadAsync(buffer, cancellationToken)) > 0)
                {
                    hash.AppendData(buffer, 0, read);
                    await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                    Demand(file.Length <= maxBytes, ErrorCodes.FileTooLarge, 413);
                    Demand(file.Length <= WorkspaceBytes, ErrorCodes.QuotaExceeded, 429);
                }

                digest = Convert.ToHexStringLower(hash.GetHashAndReset());
                Demand(sha256 is null || sha256 == digest, ErrorCodes.UploadChecksumMismatch, 400);
            }

            File.Move(beside, target, overwrite: true);
            return Stat(id, path) with { Sha256 = digest };
        }
        finally
        {
            File.Delete(beside);
        }
    }

    private static void CheckPlace(string target, bool overwrite, bool createParents)
    {
        Demand(!Directory.Exists(target), ErrorCodes.PathIsDirectory, 400);
        var parent = Path.GetDirectoryName(target)!;
        for (var above = parent; above.Length > 1; above = Path.GetDirectoryName(above)!)
        {
            Demand(!File.Exists(above), ErrorCodes.PathNotDirectory, 400);
        }

        if (createParents)
        {
            Directory.CreateDirectory(parent);
        }

        Demand(Directory.Exists(parent), ErrorCodes.ParentDirectoryNotFound, 404);
        Demand(overwrite || !File.Exists(target), ErrorCodes.FileAlreadyExists, 409);
    }

    private AgentFileList List(string id, string path, int depth, int maxEntries)
    {
        var folder = ExistingFolder(id, path);
        var found = Below(folder, depth).Select(f => Describe(f, $"{path}/{Path.GetRelativePath(folder, f)}", withName: true))
            .OrderBy(f => f.Path, StringComparer.Ordinal).ToList();
        return new AgentFileList([.. found.Take(maxEntries)], found.Count > maxEntries);

        static IEnumerable<string> Below(string folder, int depth) => Directory.GetFileSystemEntries(folder)
            .SelectMany(f => depth > 1 && Directory.Exists(f) ? Below(f, depth - 1).Prepend(f) : [f]);
    }

    private AgentFile Stat(string id, string path) => Describe(Existing(id, path), path, withName: false);

    private Microsoft.AspNetCore.Http.HttpResults.NoContent Delete(string id, string path)
    {
        var target = Existing(id, path);
        if (Directory.Exists(target))
        {
            Demand(!Directory.EnumerateFileSystemEntries(target).Any(), ErrorCodes.DirectoryNotEmpty, 409);
            Directory.Delete(target);
        }

        File.Delete(target);
        return TypedResults.NoContent();
    }

    private async Task ReadAsync(string id, string path, long? maxBytes, HttpContext context)
    {
        await using var file = Open(id, path);
        Demand(maxBytes is null || file.Length <= maxBytes, ErrorCodes.FileTooLarge, 413);
        context.Response.Headers["X-File-Size"] = $"{file.Length}";
        context.Response.Headers["X-File-Path"] = Uri.EscapeDataString(path);
        context.Response.Headers["X-File-Modified"] = $"{new DateTimeOffset(File.GetLastWriteTimeUtc(file.Name)).ToUnixTimeMilliseconds()}";
        await file.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    private AgentFile Make(string id, MakeDirectory body)
    {
        var target = PathOf(id, body.Path);
        Demand(!File.Exists(target), ErrorCodes.FileAlreadyExists, 409);
        Demand(body.Parents || !Directory.Exists(target), ErrorCodes.FileAlreadyExists, 409);
        Demand(body.Parents || Directory.Exists(Path.GetDirectoryName(target)), ErrorCodes.ParentDirectoryNotFound, 404);
        Directory.CreateDirectory(target);
        return Stat(id, body.Path);
    }

    private AgentFile MoveTo(string id, Move body)
    {
        var (from, to) = (Existing(id, body.From), PathOf(id, body.To));
        Demand(Directory.Exists(Path.GetDirectoryName(to)), ErrorCodes.ParentDirectoryNotFound, 404);
        Demand(body.Overwrite || !Path.Exists(to), ErrorCodes.FileAlreadyExists, 409);
        if (Directory.Exists(to))
        {
            Demand(!Directory.EnumerateFileSystemEntries(to).Any(), ErrorCodes.DirectoryNotEmpty, 409);
            Directory.Delete(to);
        }

        if (Directory.Exists(from))
        {
            Directory.Move(from, to);
        }
        else
        {
            File.Move(from, to, overwrite: true);
        }

        return Stat(id, body.To);
    }

    private async Task ArchiveAsync(string id, string path, HttpContext context)
    {
        var folder = ExistingFolder(id, path);
        context.Response.ContentType = "application/gzip";
        await using var zip = new GZipStream(context.Response.Body, CompressionLevel.Fastest);
        await TarFile.CreateFromDirectoryAsync(folder, zip, includeBaseDirectory: false, context.RequestAborted);
    }

    private async Task<object> ExtractAsync(string id, string path, long maxBytes, int maxEntries, HttpContext context)
    {
        var folder = ExistingFolder(id, path);
        var (entries, bytes) = (0, 0L);
        try
        {
            await using var zip = new GZipStream(context.Request.Body, CompressionMode.Decompress);
            await using var tar = new TarReader(zip);
            while (await tar.GetNextEntryAsync(copyData: false, context.RequestAborted) is { } entry)
            {
                Demand(!entry.Name.Contains("..", StringComparison.Ordinal), ErrorCodes.ArchiveInvalid, 400);
                Demand(++entries <= maxEntries && (bytes += entry.Length) <= maxBytes, ErrorCodes.ArchiveTooLarge, 413);
                if (entry.EntryType != TarEntryType.Directory)
                {
                    Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, entry.Name))!);
                    await entry.ExtractToFileAsync(Path.Combine(folder, entry.Name), overwrite: true, context.RequestAborted);
                }
            }
        }
        catch (InvalidDataException)
        {
            throw new TestRefusal(ErrorCodes.ArchiveInvalid, 400);
        }

        return new { entries, bytes };
    }

    private object Find(string id, Search search)
    {
        var all = List(id, search.Path, search.MaxDepth, int.MaxValue).Entries.Where(e =>
            search.Name is null || Regex.IsMatch(e.Name!, "^" + Regex.Escape(search.Name).Replace("\\*", ".*") + "$"));
        var options = search.CaseSensitive ? RegexOptions.None : RegexOptions.IgnoreCase;
        var matches = search.Content is null
            ? all.Select(e => (object)e).ToList()
            : all.Where(e => e.Type == "file").SelectMany(e => File.ReadLines(PathOf(id, e.Path)).Select((text, i) => (e, text, i)))
                .Where(l => Regex.IsMatch(l.text, search.Regex ? search.Content : Regex.Escape(search.Content), options))
                .Select(l => (object)new { l.e.Path, l.e.Name, l.e.Type, l.e.SizeBytes, l.e.ModifiedAt, line = l.i + 1, column = 1, preview = l.text })
                .ToList();
        var truncated = matches.Count > search.MaxResults;
        return new { matches = matches.Take(search.MaxResults), truncated, stoppedBy = truncated ? "results" : null };
    }

    private string Existing(string id, string path) =>
        PathOf(id, path) is var found && Path.Exists(found) ? found : throw new TestRefusal(ErrorCodes.FileNotFound, 404);

    private string ExistingFolder(string id, string path) =>
        Existing(id, path) is var found && Directory.Exists(found) ? found : throw new TestRefusal(ErrorCodes.PathNotDirectory, 400);

    private static AgentFile Describe(string file, string path, bool withName)
    {
        var isDirectory = Directory.Exists(file);
        return new AgentFile
        {
            Path = path,
            Type = isDirectory ? "directory" : "file",
            SizeBytes = isDirectory ? 0 : new FileInfo(file).Length,
            ModifiedAt = Modified(file),
            Name = withName ? Path.GetFileName(path) : null,
        };
    }

    private static long Modified(string file) => new DateTimeOffset(File.GetLastWriteTimeUtc(file)).ToUnixTimeMilliseconds();

    private static void Demand(bool holds, string code, int status)
    {
        if (!holds)
        {
            throw new TestRefusal(code, status);
        }
    }

    private sealed record MakeDirectory(string Path, bool Parents);

    private sealed record Move(string From, string To, bool Overwrite);

    private sealed record Search(
        string Path, string? Name, string? Content, bool Regex, bool CaseSensitive, int MaxResults, int MaxDepth, int TimeoutMs);
}
