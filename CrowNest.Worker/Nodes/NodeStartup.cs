using CrowNest.Worker.Containers;
using CrowNest.Worker.Containers.Network;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.Templates;

namespace CrowNest.Worker.Nodes;

/// <summary>
/// Before the worker listens: engine and database answer, the lease is taken, what an earlier start left is taken on. Waits for those that
/// are away. At a stop the warm pool goes; sandboxes that callers have run on.
/// </summary>
internal sealed partial class NodeStartup(
    Node node, EngineClient engine, Heartbeat heartbeat, TemplateImages templates, SandboxAdoption adoption, WarmPool pool,
    LiveSandboxes live, SandboxContainers containers, SandboxNetwork network, WorkerRetries retries, ILogger<NodeStartup> logger)
    : IHostedService
{
    /// <summary>A database that has gone away before the worker keeps it no longer.</summary>
    private static readonly TimeSpan RetirePatience = TimeSpan.FromSeconds(1);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        LogStarting(node.Id, node.State.DeploymentId, node.State.Path);
        await retries.WaitForAsync("Waiting for the container engine", engine.PingAsync, cancellationToken);
        await retries.WaitForAsync("Waiting for the database", heartbeat.RenewAsync, cancellationToken);
        await retries.WaitForAsync("Waiting for the templates", templates.ScanAsync, cancellationToken);
        await retries.WaitForAsync("Waiting for sandboxes of an earlier start", adoption.RunAsync, cancellationToken);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await RetireAsync(cancellationToken);
        try
        {
            var warm = pool.TakeOthers(new HashSet<string>());
            await Task.WhenAll(warm.Select(containers.RemoveAsync));
            await containers.SettleAsync().WaitAsync(cancellationToken);
            if (live.Count == 0)
            {
                await network.RemoveAsync(cancellationToken);
            }
        }
        catch (Exception exception)
        {
            // An end of the host's patience included: what is left is taken away by others.
            LogStopFailed(exception);
        }
    }

    /// <summary>First of all: what the lease says must be right, whatever becomes of the rest of the stop.</summary>
    private async Task RetireAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(RetirePatience);
        try
        {
            await heartbeat.RetireAsync(limit.Token).WaitAsync(limit.Token);
        }
        catch (Exception exception)
        {
            // Also when the host's own patience has ended: the stop goes on.
            LogNotRetired(exception);
        }
    }

    [LoggerMessage(5021, LogLevel.Information, "Worker {WorkerId} of deployment {DeploymentId}, state in {Path}")]
    private partial void LogStarting(string workerId, string deploymentId, string path);

    [LoggerMessage(5024, LogLevel.Warning, "The lease could not be set for the stop: it lapses, and this node's sandboxes with it")]
    private partial void LogNotRetired(Exception exception);

    [LoggerMessage(5023, LogLevel.Error, "The stop left something behind; the next start or --cleanup takes it away")]
    private partial void LogStopFailed(Exception exception);
}
