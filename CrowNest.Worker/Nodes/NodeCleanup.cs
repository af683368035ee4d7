using CrowNest.Worker.Containers;
using CrowNest.Worker.Containers.Network;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Nodes;

/// <summary>
/// <c>--cleanup</c>: takes away everything that this deployment has put on the node outside its state folder. The worker must be stopped;
/// database and Redis are not needed.
/// </summary>
internal static class NodeCleanup
{
    public const string Switch = "--cleanup";

    /// <returns>The exit code: 0 when nothing is left.</returns>
    public static async Task<int> RunAsync(IConfiguration configuration, TextWriter output, CancellationToken cancellationToken)
    {
        var deployment = configuration.GetSection(DeploymentOptions.SectionName).Get<DeploymentOptions>() ?? new();
        var options = configuration.GetSection(WorkerOptions.SectionName).Get<WorkerOptions>() ?? new();
        if (!Directory.Exists(deployment.StateDirectory))
        {
            await output.WriteLineAsync($"Nothing to clean up: there is no state folder '{deployment.StateDirectory}'.");
            return 0;
        }

        try
        {
            using var state = NodeState.Open(deployment.StateDirectory);
            using var engine = new EngineClient(Options.Create(options));
            var removed = await RemoveContainersAsync(engine, state, cancellationToken);
            await SandboxNetwork.RemoveAsync(new NetworkNames(state.DeploymentId), cancellationToken);
            foreach (var folder in Directory.GetDirectories(state.Sockets))
            {
                Directory.Delete(folder, recursive: true);
            }

            state.WriteCleanedUp();
            await output.WriteLineAsync($"Removed {removed} containers and the network of deployment {state.DeploymentId}.");
            return 0;
        }
        catch (Exception exception) when (exception is StartupException or EngineException or HostProgramException)
        {
            await output.WriteLineAsync(exception.Message);
            return 1;
        }
    }

    private static async Task<int> RemoveContainersAsync(EngineClient engine, NodeState state, CancellationToken cancellationToken)
    {
        var containers = await engine.ListContainersAsync(state.ContainerLabel, cancellationToken);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(
            containers, parallel, async (container, token) => await engine.RemoveContainerAsync(container.ID, token));
        return containers.Count;
    }
}
