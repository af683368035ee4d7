using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;

namespace CrowNest.Dashboard.Tests;

/// <summary>Files and artifacts.</summary>
internal sealed partial class FakeApi
{
    private readonly ConcurrentDictionary<string, FakeFiles> _files = new();
    private readonly ConcurrentDictionary<string, (string Name, byte[] Content)> _signed = new();

    public ConcurrentDictionary<string, (string Owner, Artifact Artifact, byte[] Content)> Artifacts { get; } = new();

    /// <summary>The next change of a file or artifact is refused with this.</summary>
    public ErrorBody? RefuseChange { get; set; }

    /// <summary>While it is there, an upload waits after its first bytes.</summary>
    public Task? HoldUploads { get; set; }

    /// <summary>Uploads are counted and thrown away: bytes of the last one.</summary>
    public long? Discarded { get; set; }

    public FakeFiles FilesOf(string sandboxId) => _files.GetOrAdd(sandboxId, _ => new FakeFiles());

    public Artifact AddArtifact(string user, string sandboxId, string remotePath, byte[] content, Func<Artifact, Artifact>? change = null)
    {
        var artifact = new Artifact
        {
            Id = Ids.New(Ids.Artifact),
            OrgId = "org_1",
            ProjectId = "prj_default",
            SandboxId = sandboxId,
            Name = remotePath[(remotePath.LastIndexOf('/') + 1)..],
            ObjectKey = "objects/" + Ids.New(Ids.Artifact),
            SizeBytes = content.Length,
            CreatedAt = DateTimeOffset.UtcNow,
            RetentionExpiresAt = DateTimeOffset.UtcNow.AddDays(7),
            RemotePath = remotePath,
            Sha256 = Convert.ToHexStringLower(SHA256.HashData(content)),
            Metadata = new Dictionary<string, string>(),
        };
        artifact = change?.Invoke(artifact) ?? artifact;
        Artifacts[artifact.Id] = (user, artifact, content);
        return artifact;
    }

    private void MapFiles(WebApplication app, RouteGroupBuilder v1)
    {
        var files = v1.MapGroup("/sandboxes/{id}/files");
        files.AddEndpointFilter(async (context, next) =>
        {
            var http = context.HttpContext;
            if (Find(http, (string)http.Request.RouteValues["id"]!) is not { } sandbox)
                return NotFound();
            if (sandbox.Status is SandboxStatus.Destroyed or SandboxStatus.Failed)
                return Error(410, ErrorCodes.SandboxDestroyed);
            if (!HttpMethods.IsGet(http.Request.Method) && !http.Request.Path.Value!.EndsWith("-url", StringComparison.Ordinal)
                && RefuseChange is { } refusal)
            {
                RefuseChange = null;
                return Results.Json(new ErrorEnvelope(refusal), statusCode: 429);
            }

            return await next(context);
        });
        files.MapGet("", (string id, string? path) => OnFolder(id, path ?? Limits.Workspace, (tree, folder) =>
            Results.Json(new FileList(tree.Children(folder), tree.IsTruncated ? true : null))));
        files.MapGet("/stat", (string id, string path) => OnEntry(id, path, tree => Results.Json(new FileResponse(tree.Stat(path)))));
        files.MapGet("/download", (string id, string path) => OnFile(id, path, content => Results.Bytes(content)));
        files.MapGet("/archive", (string id, string path) => OnFolder(id, path, (_, _) =>
            Results.Bytes([0x1F, 0x8B, 8, 0], "application/gzip")));
        files.MapPost("/download-url", (string id, CreateFileDownloadUrlRequest body) => OnFile(id, body.Path!, content =>
            Results.Json(Sign(body.Path!.Split('/')[^1], content))));
        files.MapPut("/upload", UploadAsync).WithMetadata(new DisableRequestSizeLimitAttribute());
        files.MapDelete("", (string id, string path) => OnEntry(id, path, tree =>
            tree.IsFolder(path) && tree.Children(path).Count > 0 ? Error(409, ErrorCodes.DirectoryNotEmpty)
            : Results.Json(new DeletedFile(tree.Remove(path)))));
        files.MapPost("/mkdir", (string id, MakeDirectoryRequest body) => FilesOf(id).Has(body.Path!)
            ? Error(409, ErrorCodes.FileAlreadyExists)
            : Results.Json(new FileResponse(FilesOf(id).Add(body.Path!).Stat(body.Path!))));
        files.MapPost("/move", (string id, MoveFileRequest body) => OnEntry(id, body.From!, tree =>
        {
            if (tree.Has(body.To!))
                return Error(409, ErrorCodes.FileAlreadyExists);
            tree.Move(body.From!, body.To!);
            return Results.Json(new FileResponse(tree.Stat(body.To!)));
        }));
        // As the API's signed links: no credential, an attachment.
        app.MapGet("/signed/{ticket}", (string ticket) => _signed.TryGetValue(ticket, out var target)
            ? Results.File(target.Content, "application/octet-stream", target.Name)
            : Error(403, ErrorCodes.Forbidden));
    }

    private void MapArtifacts(RouteGroupBuilder v1)
    {
        v1.MapGet("/artifacts", ListArtifacts);
        v1.MapPost("/sandboxes/{id}/artifacts", (string id, CreateArtifactRequest body, HttpContext context) =>
            OnFile(id, body.Path!, content =>
            {
                var artifact = AddArtifact(User(context), id, body.RemotePath!, content, added => added with { SourcePath = body.Path });
                return Results.Json(new ArtifactResponse(artifact), statusCode: 201);
            }));
        v1.MapPost("/artifacts/{id}/download-url", (string id, HttpContext context) =>
            Artifacts.TryGetValue(id, out var owned) && owned.Owner == User(context)
                ? Results.Json(Sign(owned.Artifact.Name, owned.Content)) : NotFound());
        v1.MapDelete("/artifacts/{id}", (string id, HttpContext context) =>
        {
            if (RefuseChange is { } refusal)
            {
                RefuseChange = null;
                return Results.Json(new ErrorEnvelope(refusal), statusCode: 500);
            }

            return Artifacts.TryGetValue(id, out var owned) && owned.Owner == User(context) && Artifacts.TryRemove(id, out _)
                ? Results.Json(new ArtifactResponse(owned.Artifact with { DeletedAt = DateTimeOffset.UtcNow }))
                : NotFound();
        });
    }

    private IResult ListArtifacts(HttpContext context, string? sandboxId, string? remotePathPrefix, int? limit, string? cursor)
    {
        if (sandboxId is not null && Find(context, sandboxId) is null)
            return NotFound();
        var all = Artifacts.Values.Where(owned => owned.Owner == User(context)).Select(owned => owned.Artifact)
            .Where(artifact => sandboxId is null || artifact.SandboxId == sandboxId)
            .Where(artifact => artifact.RemotePath!.StartsWith(remotePathPrefix ?? "", StringComparison.Ordinal))
            .OrderByDescending(artifact => artifact.CreatedAt).ToArray();
        var skip = cursor is null ? 0 : int.Parse(cursor, CultureInfo.InvariantCulture);
        var take = limit ?? 50;
        var next = skip + take < all.Length ? (skip + take).ToString(CultureInfo.InvariantCulture) : null;
        return Results.Json(new Page<Artifact>([.. all.Skip(skip).Take(take)], next is not null, next));
    }

    private async Task<IResult> UploadAsync(string id, string path, bool? overwrite, long? sizeBytes, HttpContext context)
    {
        if (overwrite == false && FilesOf(id).Has(path))
            return Error(409, ErrorCodes.FileAlreadyExists);
        using var content = new MemoryStream();
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
        {
            if (Discarded is null)
                content.Write(buffer, 0, read);
            else
                Discarded += read;
            if (HoldUploads is { } hold)
                await hold.WaitAsync(context.RequestAborted);
        }

        if (sizeBytes is not null && sizeBytes != (Discarded ?? content.Length))
            return Error(400, ErrorCodes.UploadSizeMismatch);
        FilesOf(id).Add(path, content.ToArray());
        return Results.Json(new UploadedFile(FilesOf(id).Stat(path), Convert.ToHexStringLower(SHA256.HashData(content.ToArray()))));
    }

    private DownloadUrl Sign(string name, byte[] content)
    {
        var ticket = Ids.New("tkt");
        _signed[ticket] = (name, content);
        return new DownloadUrl($"{Url}/signed/{ticket}", "GET", DateTimeOffset.UtcNow.AddMinutes(15), DownloadAuthMode.ApiKey);
    }

    private IResult OnEntry(string id, string path, Func<FakeFiles, IResult> answer) =>
        FilesOf(id).Has(path) ? answer(FilesOf(id)) : Error(404, ErrorCodes.FileNotFound);

    private IResult OnFolder(string id, string path, Func<FakeFiles, string, IResult> answer) => OnEntry(id, path, tree =>
        tree.IsFolder(path) ? answer(tree, path) : Error(400, ErrorCodes.PathNotDirectory));

    private IResult OnFile(string id, string path, Func<byte[], IResult> answer) => OnEntry(id, path, tree =>
        tree.Content(path) is { } content ? answer(content) : Error(400, ErrorCodes.PathIsDirectory));
}
