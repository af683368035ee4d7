using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Nodes;

/// <summary>This node: its folder, its id, and the agent it gives to sandboxes.</summary>
internal sealed class Node : IDisposable
{
    public Node(IOptions<WorkerOptions> options, IOptions<DeploymentOptions> deployment)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new StartupException("The worker must run as root: it owns the sandboxes' sockets and network rules.");
        }

        State = NodeState.Open(deployment.Value.StateDirectory);
        Id = State.WorkerId(options.Value.Id);
        Agent = AgentPrograms.Install(options.Value.AgentDirectory!, State.Path);
    }

    /// <summary><c>wrk_…</c>.</summary>
    public string Id { get; }
    public NodeState State { get; }
    public AgentPrograms Agent { get; }

    public void Dispose() => State.Dispose();
}
