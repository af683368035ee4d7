using CrowNest.Agent.Files.Archives;
using CrowNest.Agent.Files.Search;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files;

/// <summary>The routes below <c>/files</c> of docs/protocols.md 2.4.</summary>
internal static class FileApi
{
    private const int DefaultMaxEntries = 10_000;
    private const int MostEntries = 200_000;

    internal static void MapFiles(this IEndpointRouteBuilder routes, Workspace workspace, FileThreads threads)
    {
        var content = new FileContent(workspace, threads);
        var archives = new ArchiveTransfer(workspace, threads);
        var search = new FileSearches(workspace, threads, TimeProvider.System);

        FilePath Path(FileQuery query) => FilePath.Parse(query.Text("path"), workspace.AbsolutePath);
        FilePath Parse(string? path, string member) => FilePath.Parse(path, workspace.AbsolutePath, member);

        routes.MapGet("/files", async http =>
        {
            var query = new FileQuery(http.Request);
            var path = query.Text("path") is null ? Parse(workspace.AbsolutePath, "path") : Path(query);
            int depth = (int)query.Number("depth", 1, 1, DirectoryListing.MaxDepth);
            int most = (int)query.Number("maxEntries", DefaultMaxEntries, 1, MostEntries);
            using var listing = await threads.RunAsync(() => DirectoryListing.Read(workspace, path, depth, most));
            await FileListJson.AnswerAsync(http, listing, path.Absolute, threads);
        });
        routes.MapGet("/files/stat", async http =>
        {
            var path = Path(new FileQuery(http.Request));
            await AnswerAsync(http, await threads.RunAsync(() => FileChanges.Stat(workspace, path)));
        });
        routes.MapDelete("/files", async http =>
        {
            var path = Path(new FileQuery(http.Request));
            await threads.RunAsync(() => FileChanges.Delete(workspace, path));
            http.Response.StatusCode = 204;
        });
        routes.MapPost("/files/mkdir", async http =>
        {
            var request = await http.ReadAsync(Wire.Default.MakeDirectoryRequest);
            var path = Parse(request.Path, "path");
            bool parents = request.Parents ?? false;
            await AnswerAsync(http, await threads.RunAsync(() => FileChanges.MakeDirectory(workspace, path, parents)));
        });
        routes.MapPost("/files/move", async http =>
        {
            var request = await http.ReadAsync(Wire.Default.MoveRequest);
            var from = Parse(request.From, "from");
            var to = Parse(request.To, "to");
            bool overwrite = request.Overwrite ?? false;
            await AnswerAsync(http, await threads.RunAsync(() => FileChanges.Move(workspace, from, to, overwrite)));
        });
        routes.MapGet("/files/content", async http =>
        {
            var query = new FileQuery(http.Request);
            await content.ReadAsync(http, Path(query), query.Number("maxBytes", long.MaxValue, 0, long.MaxValue));
        });
        routes.MapPut("/files/content", async http =>
        {
            var query = new FileQuery(http.Request);
            var stat = await content.WriteAsync(
                http, Path(query), query.Flag("overwrite", true), query.Flag("createParents", false),
                query.Number("maxBytes", long.MaxValue, 0, long.MaxValue), Digest(query));
            await AnswerAsync(http, stat);
        });
        routes.MapGet("/files/archive", http => archives.CreateAsync(http, Path(new FileQuery(http.Request))));
        routes.MapPut("/files/archive", async http =>
        {
            var query = new FileQuery(http.Request);
            var limits = new ArchiveLimits(
                query.Number("maxBytes", ArchiveLimits.DefaultBytes, 0, long.MaxValue / 2),
                query.Number("maxEntries", ArchiveLimits.DefaultEntries, 0, int.MaxValue));
            await http.AnswerAsync(200, await archives.ExtractAsync(http, Path(query), limits), Wire.Default.ArchiveExtracted);
        });
        routes.MapPost("/files/search", async http =>
        {
            var request = await http.ReadAsync(Wire.Default.SearchRequest);
            var path = Parse(request.Path ?? workspace.AbsolutePath, "path");
            await http.AnswerAsync(200, await search.RunAsync(path, request, http.RequestAborted), Wire.Default.SearchAnswer);
        });
    }

    private static Task AnswerAsync(HttpContext http, FileStat stat) => http.AnswerAsync(200, stat, Wire.Default.FileStat);

    private static string? Digest(FileQuery query)
    {
        var text = query.Text("sha256");
        if (text is null || (text.Length == 64 && text.All(char.IsAsciiHexDigit))) return text;
        throw new AgentException(AgentError.InvalidRequest("sha256 must be 64 hexadecimal digits"));
    }
}
