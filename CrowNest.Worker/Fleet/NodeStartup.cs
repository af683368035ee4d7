using CrowNest.Worker.Network;
using CrowNest.Worker.Runtime;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.Templates;

namespace CrowNest.Worker.Fleet;

/// <summary>
/// Before the worker listens: engine and database answer, the lease is taken, what an earlier start left is taken on. Waits for those that
/// are away. At a stop the warm pool goes; sandboxes that callers have run on.
/// </summary>
internal sealed partial class NodeStartup(
    Node node, EngineClient engine, Heartbeat heartbeat, TemplateImages templates, SandboxAdoption adoption, WarmPool pool,
    LiveSandboxes live, SandboxContainers containers, SandboxNetwork network, ILogger<NodeStartup> logger) : IHostedService
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        LogStarting(node.Id, node.State.DeploymentId, node.State.Path);
        await UntilDoneAsync(engine.PingAsync, "the container engine", cancellationToken);
        await UntilDoneAsync(heartbeat.RenewAsync, "the database", cancellationToken);
        await UntilDoneAsync(templates.ScanAsync, "the templates", cancellationToken);
        await UntilDoneAsync(adoption.RunAsync, "sandboxes of an earlier start", cancellationToken);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        try
        {
            var warm = pool.TakeOthers(new HashSet<string>());
            await Task.WhenAll(warm.Select(containers.RemoveAsync));
            await containers.SettleAsync().WaitAsync(cancellationToken);
            if (live.Count == 0)
            {
                await network.RemoveAsync(cancellationToken);
            }

            await heartbeat.RetireAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogStopFailed(exception);
        }
    }

    private async Task UntilDoneAsync(Func<CancellationToken, Task> step, string what, CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await step(cancellationToken);
                return;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // The first and every tenth: someone who looks on sees what is waited for.
                if (attempt % 10 == 0)
                {
                    LogWaiting(exception, what);
                }

                await Task.Delay(Pause, cancellationToken);
            }
        }
    }

    [LoggerMessage(5021, LogLevel.Information, "Worker {WorkerId} of deployment {DeploymentId}, state in {Path}")]
    private partial void LogStarting(string workerId, string deploymentId, string path);

    [LoggerMessage(5022, LogLevel.Warning, "Waiting for {What}")]
    private partial void LogWaiting(Exception exception, string what);

    [LoggerMessage(5023, LogLevel.Error, "The stop left something behind; the next start or --cleanup takes it away")]
    private partial void LogStopFailed(Exception exception);
}
