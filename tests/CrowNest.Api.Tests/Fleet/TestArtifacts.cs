using System.Collections.Concurrent;
using System.Security.Cryptography;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace CrowNest.Api.Tests.Fleet;

/// <summary>Exports and imports of a <see cref="TestWorker"/> (docs/protocols.md 3), over the folder that the API reads objects from.</summary>
internal sealed class TestArtifacts(TestFiles files, ArtifactStore store, string objects)
{
    /// <summary>Instead of exporting; null: it is exported. A result is the answer.</summary>
    public Func<StoreArtifact, HttpContext, Task<IResult?>>? OnStore { get; set; }

    /// <summary>Happens before an import begins.</summary>
    public Func<Task>? OnImport { get; set; }

    /// <summary>What it was asked to export, in order.</summary>
    public ConcurrentQueue<StoreArtifact> Exports { get; } = [];

    public string ObjectPath(string objectKey) => Path.Combine(objects, objectKey);

    public void Map(IEndpointRouteBuilder server)
    {
        server.MapPost("/internal/sandboxes/{id}/artifacts", StoreAsync);
        server.MapPost("/internal/sandboxes/{id}/imports", ImportAsync);
    }

    /// <summary>Does what an export does; null when the row is nobody's any more.</summary>
    public async Task<ArtifactRow?> ExportAsync(string sandboxId, StoreArtifact export)
    {
        var target = ObjectPath(export.ObjectKey);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        string digest;
        long size;
        await using (var source = files.Open(sandboxId, export.Path))
        {
            size = source.Length;
            if (size > export.MaxBytes)
            {
                throw new TestRefusal(ErrorCodes.FileTooLarge, 413);
            }

            await using var copy = File.Create(target);
            await source.CopyToAsync(copy);
            copy.Position = 0;
            digest = Convert.ToHexStringLower(await SHA256.HashDataAsync(copy));
        }

        var row = await store.MarkStoredAsync(
            export.ArtifactId, size, digest, export.Path, DateTimeOffset.UtcNow, CancellationToken.None);
        if (row is null)
        {
            File.Delete(target);
        }

        return row;
    }

    private async Task<IResult> StoreAsync(string id, StoreArtifact export, HttpContext context)
    {
        Exports.Enqueue(export);
        if (OnStore is { } instead && await instead(export, context) is { } result)
        {
            return result;
        }

        try
        {
            return await ExportAsync(id, export) is { } row
                ? TypedResults.Ok(row)
                : TestWorker.Refuse(ErrorCodes.DownloadExportFailed, "The row is gone.", 502);
        }
        catch (TestRefusal refusal)
        {
            await store.DiscardAsync(export.ArtifactId, CancellationToken.None);
            return TestWorker.Refuse(refusal.Code, "The agent refuses.", refusal.Status);
        }
    }

    private async Task<IResult> ImportAsync(string id, ImportObject import, HttpContext context)
    {
        await (OnImport?.Invoke() ?? Task.CompletedTask);
        var source = ObjectPath(import.ObjectKey);
        if (!File.Exists(source))
        {
            return TestWorker.Refuse(ErrorCodes.DownloadExportFailed, "The object is missing.", 502);
        }

        try
        {
            await using var content = File.OpenRead(source);
            return TypedResults.Ok(await files.WriteAsync(
                id, import.Path, import.Overwrite, import.CreateParents, import.SizeBytes, import.Sha256, content, context.RequestAborted));
        }
        catch (TestRefusal refusal)
        {
            return refusal.Code == ErrorCodes.UploadChecksumMismatch
                ? TestWorker.Refuse(ErrorCodes.DownloadExportFailed, "The object is not what it was.", 502)
                : TestWorker.Refuse(refusal.Code, "The agent refuses.", refusal.Status);
        }
    }
}
