using System.Diagnostics;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

/// <summary>Containers, agents and rows that are lost, and what is found again after a restart.</summary>
[Trait("Needs", "engine")]
public sealed class LossTests(BackingServices backing)
{
    [Fact(DisableParallelization = true)]
    public async Task Agent_Dies_SandboxFailsWithinASecondAndContainerGoes()
    {
        await using var node = await TestNode.StartAsync(backing, ("ReapInterval", "00:10:00"));
        var (id, started) = await node.CreateAsync();
        Assert.True(node.Live.TryGet(id, out var live));
        Assert.True(node.Get<Worker.Containers.SandboxContainers>().TryGet(started.ContainerId, out var container));

        Process.GetProcessById(container.Pid).Kill();

        var row = await node.RowBecomesAsync(id, SandboxStatus.Failed, TimeSpan.FromSeconds(1));
        Assert.Contains("main process", row.FailureMessage, StringComparison.Ordinal);
        await Eventually.HoldsAsync(() => live.Ended.IsCancellationRequested, "the end is told");
        await TestNode.ContainerGoesAsync(started.ContainerId);
    }

    [Fact(DisableParallelization = true)]
    public async Task Container_RemovedByHand_SandboxFails()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, started) = await node.CreateAsync();

        await node.Engine.RemoveContainerAsync(started.ContainerId, CancellationToken.None);

        await node.RowBecomesAsync(id, SandboxStatus.Failed, TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task Suspect_HungAgent_SandboxFails()
    {
        await using var node = await TestNode.StartAsync(backing, ("ReapInterval", "00:10:00"));
        var (id, started) = await node.CreateAsync();
        Assert.True(node.Get<Worker.Containers.SandboxContainers>().TryGet(started.ContainerId, out var container));
        await FreezeAsync(container.Pid);

        node.Live.Suspect(id);

        var row = await node.RowBecomesAsync(id, SandboxStatus.Failed, TimeSpan.FromSeconds(60));
        Assert.Contains("does not answer", row.FailureMessage, StringComparison.Ordinal);
    }

    /// <summary>Nobody asks anything of it: only the reaper's round can notice.</summary>
    [Fact]
    public async Task HungAgent_WithoutWork_SandboxFailsByItself()
    {
        await using var node = await TestNode.StartAsync(backing, ("ReapInterval", "00:00:01"));
        var (id, started) = await node.CreateAsync();
        Assert.True(node.Get<Worker.Containers.SandboxContainers>().TryGet(started.ContainerId, out var container));

        await FreezeAsync(container.Pid);

        var row = await node.RowBecomesAsync(id, SandboxStatus.Failed, TimeSpan.FromSeconds(60));
        Assert.Contains("does not answer", row.FailureMessage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Suspect_HealthyAgent_Stays()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();

        node.Live.Suspect(id);

        Assert.Equal((0, "fine\n"), await node.ExecAsync(id, "echo fine"));
        Assert.Equal(SandboxStatus.Ready, (await node.RowAsync(id)).State);
    }

    [Fact]
    public async Task WarmOne_Dies_IsReplacedAndNeverClaimed()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "1"));
        await node.PoolHoldsAsync(1);
        var before = Assert.Single(await node.Engine.ListContainersAsync(node.Node.State.ContainerLabel, CancellationToken.None));

        await node.Engine.KillContainerAsync(before.ID, CancellationToken.None);

        var (_, started) = await node.CreateAsync();
        Assert.NotEqual(before.ID, started.ContainerId);
        await Eventually.HoldsAsync(async () => !await TestNode.ContainerExistsAsync(before.ID), "the dead one is removed");
        await node.PoolHoldsAsync(1);
    }

    [Fact]
    public async Task WarmOne_HangsAtTheClaim_NextOneIsTaken()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "1"));
        await node.PoolHoldsAsync(1);
        var hung = Assert.Single(await node.Engine.ListContainersAsync(node.Node.State.ContainerLabel, CancellationToken.None));
        var pid = (await node.Engine.FindContainerAsync(hung.ID, CancellationToken.None))!.State!.Pid;
        await FreezeAsync(pid);

        var (_, started) = await node.CreateAsync();

        Assert.NotEqual(hung.ID, started.ContainerId);
        await Eventually.HoldsAsync(async () => !await TestNode.ContainerExistsAsync(hung.ID), "the hung one is removed");
    }

    [Fact]
    public async Task Crash_ThenStart_AdoptsSandboxesAndWarmOnes()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "2"));
        var (id, started) = await node.CreateAsync();
        var (killed, _) = await node.CreateAsync();
        var (expired, _) = await node.CreateAsync(ttlMs: 1000 * 60);
        var version = node.BaseImage.VersionId;
        await node.PoolHoldsAsync(2);
        await node.ExecAsync(id, "echo kept > /workspace/file");
        var before = await node.Engine.ListContainersAsync(node.Node.State.ContainerLabel, CancellationToken.None);

        await node.CrashAsync();
        await node.Sandboxes.MarkExpiringAsync(killed, DestroyedReason.UserKilled, CancellationToken.None);
        await using (var sql = node.Database.CreateCommand($"UPDATE sandboxes SET expires_at = now() WHERE id = '{expired}'"))
        {
            await sql.ExecuteNonQueryAsync();
        }

        var orphan = await AddLostRowAsync(node, before[0].Labels["crownest.worker"], version);
        await node.StartAsync();

        Assert.Equal((0, "kept\n"), await node.ExecAsync(id, "cat /workspace/file"));
        Assert.Equal(started.ContainerId, (await node.RowAsync(id)).ContainerId);
        Assert.Equal(2, node.Pool.CountByVersion()[version]);
        await node.RowBecomesAsync(killed, SandboxStatus.Destroyed, TimeSpan.FromSeconds(3));
        Assert.Equal(DestroyedReason.TtlExpired, (await node.RowBecomesAsync(expired, SandboxStatus.Destroyed)).DestroyedReason);
        Assert.Equal(SandboxStatus.Failed, (await node.RowAsync(orphan)).State);
        var (_, claimed) = await node.CreateAsync();
        Assert.True(claimed.Warm);
        Assert.Contains(before, c => c.ID == claimed.ContainerId);
    }

    [Fact]
    public async Task Start_AfterSettingsChanged_DropsWarmOnesAndKeepsSandboxes()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "1"));
        var (id, _) = await node.CreateAsync();
        await node.PoolHoldsAsync(1);

        await node.CrashAsync();
        node.Set("DefaultMemoryMb", "512");
        node.Set("WarmPoolSize:base", "0");
        await node.StartAsync();

        Assert.Empty(node.Pool.CountByVersion());
        Assert.Single(await node.Engine.ListContainersAsync(node.Node.State.ContainerLabel, CancellationToken.None));
        Assert.Equal((0, "fine\n"), await node.ExecAsync(id, "echo fine"));
    }

    [Fact]
    public async Task Stop_Clean_KeepsSandboxesAndTheirLease()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "1"));
        var (id, started) = await node.CreateAsync(ttlMs: 3_600_000);
        await node.PoolHoldsAsync(1);

        await node.StopAsync();

        Assert.True(await TestNode.ContainerExistsAsync(started.ContainerId));
        await using (var sql = node.Database.CreateCommand("SELECT lease_expires_at = (SELECT expires_at FROM sandboxes) FROM workers"))
        {
            Assert.Equal(true, await sql.ExecuteScalarAsync());
        }

        await node.StartAsync();
        Assert.Equal((0, "fine\n"), await node.ExecAsync(id, "echo fine"));
    }

    [Fact]
    public async Task Row_ClosedByTheApi_ContainerIsReaped()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, started) = await node.CreateAsync(ttlMs: 4 * 3_600_000);
        Assert.True(node.Live.TryGet(id, out var live));

        await node.Sandboxes.CloseAbandonedAsync(DateTimeOffset.UtcNow.AddHours(1), DateTimeOffset.UtcNow, CancellationToken.None);

        await Eventually.HoldsAsync(async () => !await TestNode.ContainerExistsAsync(started.ContainerId), "the container is reaped");
        await Eventually.HoldsAsync(() => live.Ended.IsCancellationRequested, "the end is told");
        Assert.Equal(SandboxStatus.Failed, (await node.RowAsync(id)).State);
    }

    [Fact]
    public async Task Leftovers_OfACrash_AreReaped()
    {
        await using var node = await TestNode.StartAsync(backing);
        var spec = node.Get<Worker.Containers.SandboxSpec>();
        var name = $"crownest-{node.Node.State.DeploymentId}-leftover";
        Directory.CreateDirectory(node.Node.State.SocketFolder(name));
        Directory.CreateDirectory(node.Node.State.SocketFolder("nothing"));
        var container = await node.Engine.CreateContainerAsync(
            spec.Build(node.BaseImage, 1, 256, 700_999, name), CancellationToken.None);
        await node.Engine.StartContainerAsync(container.ID, CancellationToken.None);

        await Eventually.HoldsAsync(async () => !await TestNode.ContainerExistsAsync(container.ID), "the leftover is removed");
        await Eventually.HoldsAsync(() => Directory.GetDirectories(node.Node.State.Sockets).Length == 0, "its folders are removed");
    }

    /// <summary>Stops a process, and waits until none of its threads can answer any more.</summary>
    private static async Task FreezeAsync(long pid)
    {
        await Worker.Containers.HostProgram.RunAsync("kill", ["-STOP", $"{pid}"], null, CancellationToken.None);
        await Eventually.HoldsAsync(
            () => Directory.GetDirectories($"/proc/{pid}/task").All(
                thread => File.ReadLines(Path.Combine(thread, "status")).Any(line => line.StartsWith("State:\tT", StringComparison.Ordinal))),
            "the process is stopped");
    }

    /// <summary>A row that says ready on this worker, without a container.</summary>
    private static async Task<string> AddLostRowAsync(TestNode node, string workerId, string versionId)
    {
        var id = Ids.New(Ids.Sandbox);
        var row = new NewSandbox
        {
            Id = id,
            OrgId = "org_test",
            ProjectId = "prj_test",
            TemplateId = "tpl_base",
            TemplateVersionId = versionId,
            Network = NetworkPolicy.None,
            Cpus = 1,
            MemoryMb = 256,
            TtlMs = 600_000,
            CreatedAt = DateTimeOffset.UtcNow,
            Metadata = new Dictionary<string, string>(),
        };
        await node.Sandboxes.InsertAsync(row, 1000, null, CancellationToken.None);
        await node.Sandboxes.MarkReadyAsync(id, workerId, "0123456789ab", "runc", true, DateTimeOffset.UtcNow, CancellationToken.None);
        return id;
    }
}
