using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Sandboxes;

/// <summary><c>DELETE /v1/sandboxes/{id}</c> (docs/reference/api.md 4.6).</summary>
internal sealed partial class SandboxKill(
    SandboxStore store, LiveWorkers workers, NodeClient client, IOptions<SandboxOptions> options, TimeProvider time,
    ILogger<SandboxKill> logger)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan PokeAgainAfter = TimeSpan.FromSeconds(1);

    /// <summary>Ends the sandbox and waits for the cleanup. A record that has already ended is returned as it is.</summary>
    /// <exception cref="ApiException">404; 500 when the cleanup takes longer than <see cref="SandboxOptions.KillWait"/>.</exception>
    public async Task<Sandbox> KillAsync(Ownership owner, string id, CancellationToken cancellationToken)
    {
        var row = await store.FindAsync(owner, id, cancellationToken) ?? throw ApiException.NotFound("Sandbox");
        var began = time.GetTimestamp();
        if (SandboxStates.IsLive(row.State))
        {
            // False when something else ends it already: that reason stands.
            await store.MarkExpiringAsync(id, DestroyedReason.UserKilled, cancellationToken);
        }

        while (SandboxStates.IsLive(row.State))
        {
            var left = options.Value.KillWait - time.GetElapsedTime(began);
            if (left <= TimeSpan.Zero)
            {
                throw new ApiException(ErrorCodes.RuntimeError,
                    "The sandbox is marked for destruction, but its node has not confirmed the cleanup. It is destroyed as soon as the node can.");
            }

            row = await AdvanceAsync(id, left, cancellationToken);
        }

        return row.ToSandbox();
    }

    private async Task<SandboxRow> AdvanceAsync(string id, TimeSpan left, CancellationToken cancellationToken)
    {
        var row = await store.FindAsync(id, cancellationToken) ?? throw new InvalidOperationException($"Sandbox {id} has no row.");
        if (!SandboxStates.IsLive(row.State))
        {
            return row;
        }

        if (row.WorkerId is null)
        {
            // Killed before a node took it on: none can any more, so there is nothing to clean up.
            await store.MarkDestroyedAsync(id, time.GetUtcNow(), cancellationToken);
        }
        else if (!await PokeAsync(row, left, cancellationToken))
        {
            // The node may be restarting; or its lease lapses, and the books are closed without it.
            await Task.Delay(PokeAgainAfter, time, cancellationToken);
        }

        row = await store.FindAsync(id, cancellationToken) ?? row;
        if (SandboxStates.IsLive(row.State))
        {
            await Task.Delay(PollInterval, time, cancellationToken);
        }

        return row;
    }

    private async Task<bool> PokeAsync(SandboxRow row, TimeSpan left, CancellationToken cancellationToken)
    {
        if (await workers.FindAsync(row.WorkerId!, again: false, cancellationToken) is not { } worker)
        {
            return false;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(left);
        try
        {
            await client.ReconcileAsync(worker, row.Id, limit.Token);
            return true;
        }
        catch (Exception e) when (e is WorkerRefusedException or WorkerUnreachableException)
        {
            LogPokeFailed(row.Id, worker.Id, e);
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    [LoggerMessage(2020, LogLevel.Warning, "Sandbox {SandboxId}: node {WorkerId} could not be asked to destroy it now.")]
    private partial void LogPokeFailed(string sandboxId, string workerId, Exception exception);
}
