using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Storage;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;

namespace CrowNest.Worker.Artifacts;

/// <summary>A file that a command or a run was to be collected of.</summary>
/// <param name="Origin">Id of that command or run.</param>
/// <param name="Index">Position among its entries.</param>
internal sealed record ExportEntry(string Origin, int Index, string OrgId, CollectItem Item, long RetentionMs, long MaxBytes)
{
    /// <summary>Follows from origin and position, so that whoever repeats a collection finds what is done already.</summary>
    public string ArtifactId { get; } = Ids.Derive(Ids.Artifact, $"{Origin}/{Index}");
}

/// <summary>Makes one requested file an artifact; may be repeated.</summary>
internal sealed class EntryExport(ArtifactStore artifacts, ArtifactExport export, TimeProvider clock)
{
    /// <returns>null when the entry is an artifact; else why it never will be.</returns>
    /// <exception cref="WorkerException">The object store failed (<c>download_export_failed</c>): a later attempt may succeed.</exception>
    public async Task<CollectFailure?> RunAsync(ExportEntry entry, LiveSandbox sandbox, CancellationToken cancellationToken)
    {
        if (WorkspacePath.Normalize(entry.Item.Path) is not { } path)
        {
            return new CollectFailure(ErrorCodes.PathOutsideWorkspace, $"The path is outside {Limits.Workspace}.", entry.Item.Path);
        }

        try
        {
            await StoreAsync(entry, path, sandbox, cancellationToken);
            return null;
        }
        catch (WorkerException failure) when (failure.Code != ErrorCodes.DownloadExportFailed)
        {
            var code = failure.Code is ErrorCodes.FileNotFound or ErrorCodes.PathOutsideWorkspace ? failure.Code : CollectFailure.Failed;
            return new CollectFailure(code, failure.Message, entry.Item.Path);
        }
    }

    private async Task StoreAsync(ExportEntry entry, string path, LiveSandbox sandbox, CancellationToken cancellationToken)
    {
        var id = entry.ArtifactId;
        var key = ObjectKey.Artifact(entry.OrgId, id);
        var present = await artifacts.FindAsync(id, cancellationToken);
        if (present is { State: ArtifactStates.Stored } or { SizeBytes: not null })
        {
            // A former process had stored it; that its owner may have deleted it since is no failure.
            return;
        }

        if (present is null)
        {
            var now = clock.GetUtcNow();
            var below = WorkspacePath.Below(path);
            var name = entry.Item.Name ?? path[(path.LastIndexOf('/') + 1)..];
            await artifacts.InsertAsync(
                new NewArtifact
                {
                    Id = id,
                    SandboxId = sandbox.Id,
                    Name = name,
                    ObjectKey = key,
                    ContentType = MediaTypes.Of(name) is var type && type != MediaTypes.Unknown ? type : MediaTypes.Of(path),
                    SourcePath = path,
                    RemotePath = IsRemotePath(below) ? below : null,
                    CreatedAt = now,
                    RetentionExpiresAt = now.AddMilliseconds(entry.RetentionMs),
                },
                cancellationToken);
        }

        await export.StoreAsync(sandbox, new StoreArtifact(id, key, path, entry.MaxBytes));
    }

    /// <summary>Whether a path of the workspace can be filed as it is (docs/reference/stateset.md 3.1).</summary>
    private static bool IsRemotePath(string path) =>
        path.Length > 0 && Encoding.UTF8.GetByteCount(path) <= Limits.RemotePathBytes && !path.Any(c => char.IsControl(c) || c == '\\');
}
