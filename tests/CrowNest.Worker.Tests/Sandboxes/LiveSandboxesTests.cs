using CrowNest.Worker.Sandboxes;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

public sealed class LiveSandboxesTests
{
    private readonly LiveSandboxes _sandboxes = new();

    [Fact]
    public void Remove_Known_FiresEndedOnce()
    {
        using var sandbox = new LiveSandbox { Id = "sbx_1", OrgId = "org_1", ProjectId = "prj_1", ContainerId = "c1" };
        _sandboxes.Add(sandbox);

        Assert.True(_sandboxes.Remove("sbx_1"));
        Assert.True(sandbox.Ended.IsCancellationRequested);
        Assert.False(_sandboxes.Remove("sbx_1"));
        Assert.False(_sandboxes.TryGet("sbx_1", out _));
    }

    [Fact]
    public void Add_SameIdTwice_IsRefused()
    {
        _sandboxes.Add(new() { Id = "sbx_1", OrgId = "org_1", ProjectId = "prj_1", ContainerId = "c1" });

        Assert.Throws<InvalidOperationException>(
            () => _sandboxes.Add(new() { Id = "sbx_1", OrgId = "org_1", ProjectId = "prj_1", ContainerId = "c2" }));
    }
}
