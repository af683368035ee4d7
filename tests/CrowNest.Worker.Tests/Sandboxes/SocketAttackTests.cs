using System.Net.Sockets;
using CrowNest.Contracts;
using CrowNest.Worker.Agents;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

/// <summary>
/// A sandbox that replaces its agent's socket by a link to the container engine's would make the worker speak to the engine for it.
/// </summary>
[Trait("Needs", "engine")]
public sealed class SocketAttackTests(BackingServices backing)
{
    [Theory]
    [InlineData("ln -sf /var/run/docker.sock /run/crownest/agent.sock")]
    [InlineData("rm -f /run/crownest/agent.sock")]
    [InlineData("mv /run/crownest/agent.sock /run/crownest/old.sock")]
    [InlineData("cd /tmp && mkdir swap && mv /run/crownest /tmp/swap/")]
    [InlineData("chmod 777 /run/crownest")]
    [InlineData("python3 -c 1 2>/dev/null; rm -rf /run/crownest && mkdir /run/crownest")]
    public async Task User_TriesToReplaceTheSocket_IsRefusedAndAgentStays(string attack)
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();

        var (exitCode, _) = await node.ExecAsync(id, attack);

        Assert.NotEqual(0, exitCode);
        Assert.Equal((0, "still here\n"), await node.ExecAsync(id, "echo still here"));
    }

    [Fact]
    public async Task Socket_ReplacedByLinkToTheEngine_IsNotFollowedAndSandboxFails()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, started) = await node.CreateAsync();
        Assert.True(node.Get<Worker.Containers.SandboxContainers>().TryGet(started.ContainerId, out var container));
        var socket = Path.Combine(node.Node.State.SocketFolder(container.Name), "agent.sock");
        // What no user of a sandbox can do, done by root: the second line of defence has to hold by itself.
        File.Delete(socket);
        File.CreateSymbolicLink(socket, "/var/run/docker.sock");

        using var fresh = new AgentClient(socket);
        await Assert.ThrowsAsync<AgentUnavailableException>(() => fresh.GetHealthAsync(CancellationToken.None));

        // A connection that is open already goes on to the true agent; once it is gone, nothing answers.
        Kill(container.Pid);
        var row = await node.RowBecomesAsync(id, SandboxStatus.Failed);
        Assert.NotNull(row.FailureMessage);
        Assert.True(Path.Exists("/var/run/docker.sock"));
        using var engine = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await engine.ConnectAsync(new UnixDomainSocketEndPoint("/var/run/docker.sock"));
    }

    private static void Kill(int pid) => System.Diagnostics.Process.GetProcessById(pid).Kill();
}
