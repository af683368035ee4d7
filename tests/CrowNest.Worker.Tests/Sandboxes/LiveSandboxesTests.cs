using CrowNest.Worker.Agents;
using CrowNest.Worker.Sandboxes;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

public sealed class LiveSandboxesTests
{
    private readonly LiveSandboxes _sandboxes = new();

    [Fact]
    public void Remove_Known_FiresEndedOnce()
    {
        using var agent = new AgentClient("/nowhere");
        using var sandbox = Sandbox(agent, "c1");
        _sandboxes.Add(sandbox);

        Assert.True(_sandboxes.Remove("sbx_1"));
        Assert.True(sandbox.Ended.IsCancellationRequested);
        Assert.False(_sandboxes.Remove("sbx_1"));
        Assert.False(_sandboxes.TryGet("sbx_1", out _));
    }

    [Fact]
    public void Add_SameIdTwice_IsRefused()
    {
        using var agent = new AgentClient("/nowhere");
        using var first = Sandbox(agent, "c1");
        using var second = Sandbox(agent, "c2");
        _sandboxes.Add(first);

        Assert.Throws<InvalidOperationException>(() => _sandboxes.Add(second));
    }

    private static LiveSandbox Sandbox(AgentClient agent, string containerId) =>
        new() { Id = "sbx_1", OrgId = "org_1", ProjectId = "prj_1", ContainerId = containerId, Agent = agent };
}
