using CrowNest.Api.Nodes;
using CrowNest.Platform.Nodes;
using Xunit;

namespace CrowNest.Api.Tests.Fleet;

public sealed class PlacementTests
{
    [Fact]
    public void Order_ByStockThenRoom_WithUnknownAndFullOnesLast()
    {
        LiveWorker[] workers =
        [
            Node("full", running: 10, warm: 9), Node("unknown"), Node("roomy", running: 1, warm: 0), Node("busy", running: 8, warm: 0),
            Node("warm", running: 9, warm: 1), Node("warmer", running: 9, warm: 2), Node("without", running: 0, warm: null),
        ];
        Assert.Equal(["warmer", "warm", "roomy", "busy", "unknown", "full"], Placement.Order(workers, "v").Select(w => w.Id));
    }

    [Fact]
    public void Order_NobodyHasTheImage_IsEmpty()
    {
        LiveWorker[] workers = [Node("a", running: 0, warm: null)];
        Assert.Empty(Placement.Order(workers, "v"));
        Assert.False(Placement.MayHave(workers, "v"));
        Assert.True(Placement.MayHave([Node("unknown")], "v"));
    }

    private static LiveWorker Node(string id) => new(id, "http://x", null);

    private static LiveWorker Node(string id, int running, int? warm) => new(id, "http://x", new WorkerSnapshot
    {
        WorkerId = id,
        Url = "http://x",
        Running = running,
        Capacity = 10,
        WarmByTemplateVersion = warm is { } stock ? new Dictionary<string, int> { ["v"] = stock } : [],
    });
}
