using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Http;

namespace CrowNest.Worker.Sandboxes;

/// <summary>docs/protocols.md 3.</summary>
internal static class InternalSandboxEndpoints
{
    public static RouteGroupBuilder MapSandboxes(this RouteGroupBuilder routes)
    {
        routes.MapPost("/sandboxes", (StartSandbox request, SandboxStarter starter) => starter.StartAsync(request));
        routes.MapPost("/sandboxes/{id}/reconcile", ReconcileAsync);
        return routes;
    }

    private static async Task<SandboxReconciled> ReconcileAsync(
        string id, SandboxSweep sweep, SandboxStore sandboxes, CancellationToken cancellationToken)
    {
        await sweep.ReconcileAsync(id, cancellationToken);
        var row = await sandboxes.FindAsync(id, cancellationToken) ?? throw WorkerException.NotFound("There is no such sandbox.");
        return new SandboxReconciled(row.State);
    }
}
