using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Worker.Tests.WorkspaceRuns;

/// <summary>A cancel at every stage: the run is over, nothing of it is left, and its evidence says so.</summary>
[Trait("Needs", "engine")]
public sealed class RunCancelTests(BackingServices backing)
{
    [Fact]
    public async Task Cancel_WhileItWaitsForASandbox_Ends()
    {
        await using var node = await TestNode.StartAsync(backing);
        await node.CreateAsync();
        var id = await node.StartRunAsync(new TestRun("true") { Ceiling = 1 });
        await node.RunBecomesAsync(id, r => r.SandboxId is not null, "it is under way");

        await CancelAsync(node, id);
    }

    [Fact]
    public async Task Cancel_WhileExtracting_Ends()
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun("true") { Archive = TestArchive.Many(60_000, i => []), MaxEntries = 100_000 });
        await node.RunBecomesAsync(id, r => r.Status == WorkspaceRunStatus.Extracting, "it extracts");

        var row = await CancelAsync(node, id);

        Assert.Null(row.CommandId);
    }

    [Fact]
    public async Task Cancel_WhileRunning_StopsTheCommandGracefully()
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun("trap 'echo bye > bye; exit 3' TERM; echo on; while :; do sleep 0.1; done")
        {
            Artifacts = ["bye"],
            KeepSandbox = true,
        });
        await Eventually.HoldsAsync(async () => (await node.RunEventsAsync(id)).Output() == "on\n", "it prints", NodeRuns.Patience);

        var row = await CancelAsync(node, id);

        Assert.Empty(row.ArtifactIds);
        Assert.Equal((0, "bye\n"), await node.ExecAsync(row.SandboxId!, "cat bye"));
        Assert.Equal((1, ""), await node.ExecAsync(row.SandboxId!, "pgrep -x sleep"));
    }

    [Fact]
    public async Task Cancel_WithoutWakeUp_IsNoticedWithinASecond()
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun("echo on; sleep 60"));
        await Eventually.HoldsAsync(async () => (await node.RunEventsAsync(id)).Output() == "on\n", "it prints", NodeRuns.Patience);

        await node.CancelRunAsync(id, wake: false);

        var row = await Eventually.GivesAsync(
            () => node.RunRowAsync(id), r => r.ClosedAt is not null, "it ends", TimeSpan.FromSeconds(5));
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Cancel_WhileCollecting_CollectsNothingMore()
    {
        await using var node = await TestNode.StartAsync(backing);
        var names = Enumerable.Range(0, 30).Select(i => $"f{i}").ToArray();
        var id = await node.StartRunAsync(
            new TestRun("for i in $(seq 0 29); do head -c 8000000 /dev/zero > f$i; done") { Artifacts = names });
        await node.RunBecomesAsync(id, r => r.ArtifactIds.Count >= 2, "it collects");

        var row = await CancelAsync(node, id);

        Assert.InRange(row.ArtifactIds.Count, 2, 29);
        await using var sql = node.Database.CreateCommand("SELECT count(*) FROM artifacts WHERE state <> 'deleted'");
        Assert.Equal((long)row.ArtifactIds.Count, await sql.ExecuteScalarAsync());
    }

    [Fact]
    public async Task Cancel_WhileTheEvidenceWaits_IsWhatTheEvidenceSays()
    {
        await using var node = await TestNode.StartAsync(backing);
        var blocker = Path.Combine(node.ObjectsDirectory, "evidence");
        await File.WriteAllTextAsync(blocker, "not a folder");
        var id = await node.StartRunAsync(new TestRun("true"));
        await Eventually.HoldsAsync(
            async () => (await node.RunEventsAsync(id)).Any(e => e.Message is not null), "it says that it waits", NodeRuns.Patience);

        await node.CancelRunAsync(id);
        File.Delete(blocker);

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Canceled, 0), (row.Status, row.ExitCode));
        await node.CheckEndAsync(row);
    }

    private static async Task<Platform.WorkspaceRuns.WorkspaceRunRow> CancelAsync(TestNode node, string id)
    {
        Assert.Equal(WorkspaceRunStatus.Canceled, (await node.CancelRunAsync(id))!.Status);
        var row = await node.RunEndsAsync(id);
        Assert.Equal(
            (WorkspaceRunStatus.Canceled, null, WorkspaceRunFailure.ClassCanceled, true),
            (row.Status, row.FailureReason, row.FailureClass, row.OrchestrationSucceeded));
        Assert.NotEqual(WorkspaceRunCleanup.Failed, row.CleanupStatus);
        await node.CheckEndAsync(row);
        return row;
    }
}
