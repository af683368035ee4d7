using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;

namespace CrowNest.Worker.Artifacts;

/// <summary>The routes of docs/protocols.md 3 between a sandbox's files and the object store.</summary>
internal static class InternalArtifactEndpoints
{
    public static RouteGroupBuilder MapArtifacts(this RouteGroupBuilder routes)
    {
        routes.MapPost("/sandboxes/{id}/artifacts", StoreAsync);
        routes.MapPost(
            "/sandboxes/{id}/imports",
            (string id, ImportObject request, ObjectImport import, LiveSandboxes sandboxes, CancellationToken cancellationToken) =>
                import.WriteAsync(Find(sandboxes, id), request, cancellationToken));
        return routes;
    }

    private static async Task<ArtifactRow> StoreAsync(
        string id, StoreArtifact request, ArtifactExport export, LiveSandboxes sandboxes, CancellationToken cancellationToken)
    {
        if (!sandboxes.TryGet(id, out var sandbox))
        {
            await export.DiscardAsync(request);
        }

        try
        {
            // A caller that leaves stops its waiting, not the export.
            return await export.StoreAsync(sandbox ?? Find(sandboxes, id), request).WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw WorkerException.Runtime("The node is stopping.", exception);
        }
    }

    private static LiveSandbox Find(LiveSandboxes sandboxes, string id) =>
        sandboxes.TryGet(id, out var sandbox) ? sandbox : throw WorkerException.NotFound($"Sandbox {id} is not on this node.");
}
