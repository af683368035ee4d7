using CrowNest.Contracts;
using CrowNest.Testing;
using CrowNest.Worker.Tests.Commands;
using Xunit;

namespace CrowNest.Worker.Tests.WorkspaceRuns;

/// <summary>Runs from start to <c>terminal</c>, and every reason to fail.</summary>
[Trait("Needs", "engine")]
public sealed class RunLifeTests(BackingServices backing)
{
    [Fact]
    public async Task Run_Succeeds_LeavesEventsArtifactsEvidenceAndNoSandbox()
    {
        await using var node = await TestNode.StartAsync(backing);

        var row = await node.RunAsync(new TestRun("cat src/a.txt; echo oops >&2; printf done > out.txt")
        {
            Archive = TestArchive.Of(("src/a.txt", "hello\n"), ("src/b.txt", "x")),
            Artifacts = ["out.txt", "/workspace/src/b.txt", "missing.txt"],
        });

        Assert.Equal((WorkspaceRunStatus.Succeeded, 0, WorkspaceRunCleanup.Succeeded), (row.Status, row.ExitCode, row.CleanupStatus));
        Assert.True(row.OrchestrationSucceeded);
        var events = await node.RunEventsAsync(row.Id);
        Assert.Equal(
            ["awaiting_archive", "archive_uploaded", "starting", "extracting", "running", "collecting", "succeeded"], events.Statuses());
        Assert.Equal(("hello\n", "oops\n"), (events.Output(), events.Output(WorkspaceRunEventType.Stderr)));
        Assert.Equal(["out.txt", "/workspace/src/b.txt"], events.Where(e => e.Type == "artifact_collected").Select(e => e.Path));
        var error = Assert.Single(events, e => e.Type == "artifact_error").Error!;
        Assert.Equal((ErrorCodes.FileNotFound, "missing.txt"), (error.Code, error.Path));
        var evidence = await node.CheckEndAsync(row);
        Assert.Equal(["out.txt", "b.txt"], evidence.Artifacts.Select(a => a.Name));
        Assert.Equal(["/workspace/out.txt", "/workspace/src/b.txt"], evidence.Artifacts.Select(a => a.Path));
        Assert.Equal(4, evidence.Artifacts[0].SizeBytes);
        var command = await node.CommandRowAsync(row.CommandId!);
        Assert.Equal((CommandStatus.Exited, Limits.Workspace), (command.State, command.Cwd));
        Assert.Equal(DestroyedReason.PlatformCleanup, (await node.RowAsync(row.SandboxId!)).DestroyedReason);
    }

    [Fact]
    public async Task Run_CommandFails_IsCollectedAndSaysSo()
    {
        await using var node = await TestNode.StartAsync(backing);

        var row = await node.RunAsync(new TestRun("echo report > r.txt; exit 7") { Artifacts = ["r.txt"] });

        Assert.Equal(
            (WorkspaceRunStatus.Failed, WorkspaceRunFailure.CommandExit, 7, WorkspaceRunFailure.ClassUserCommand),
            (row.Status, row.FailureReason, row.ExitCode, row.FailureClass));
        Assert.True(row.OrchestrationSucceeded);
        Assert.Single(row.ArtifactIds);
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Run_ArchiveThatTheWorkspaceCanNotHold_FailsAtItsExtraction()
    {
        await using var node = await TestNode.StartAsync(backing, ("WorkspaceMb", "8"));

        var row = await node.RunAsync(new TestRun("echo never") { Archive = TestArchive.Of(("large", new string('x', 20_000_000))) });

        Assert.Equal(
            (WorkspaceRunStatus.Failed, WorkspaceRunFailure.ExtractionFailed, WorkspaceRunFailure.ClassUserInput),
            (row.Status, row.FailureReason, row.FailureClass));
        Assert.Equal(["awaiting_archive", "archive_uploaded", "starting", "extracting", "failed"], (await node.RunEventsAsync(row.Id)).Statuses());
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Run_TimesOut_StopsTheCommandAndCollects()
    {
        await using var node = await TestNode.StartAsync(backing);

        var row = await node.RunAsync(new TestRun("echo begun > b.txt; setsid sleep 300 & sleep 300")
        {
            TimeoutMs = 500,
            Artifacts = ["b.txt"],
            KeepSandbox = true,
        });

        Assert.Equal((WorkspaceRunStatus.Failed, WorkspaceRunFailure.Timeout, null), (row.Status, row.FailureReason, row.ExitCode));
        Assert.Single(row.ArtifactIds);
        Assert.Equal(WorkspaceRunCleanup.NotRequested, row.CleanupStatus);
        Assert.Equal((1, ""), await node.ExecAsync(row.SandboxId!, "pgrep -x sleep"));
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Run_OnlyInTheDatabase_IsFound()
    {
        await using var node = await TestNode.StartAsync(backing);

        var row = await node.RunAsync(new TestRun("true") { Enqueue = false });

        Assert.Equal(WorkspaceRunStatus.Succeeded, row.Status);
    }

    [Fact]
    public async Task Warm_LiveAndIdle_IsUsedAndKept()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        await node.ExecAsync(sandbox, "echo before > before.txt");

        var row = await node.RunAsync(new TestRun("cat before.txt new.txt")
        {
            WarmSandboxId = sandbox,
            Archive = TestArchive.Of(("new.txt", "new\n")),
        });

        Assert.Equal(
            (WorkspaceRunStatus.Succeeded, sandbox, WorkspaceRunCleanup.NotRequested), (row.Status, row.SandboxId, row.CleanupStatus));
        Assert.Equal("before\nnew\n", (await node.RunEventsAsync(row.Id)).Output());
        Assert.Equal((0, "new\n"), await node.ExecAsync(sandbox, "cat new.txt"));
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Warm_BusyOrGone_FailsWithItsReason()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (busy, _) = await node.CreateAsync();
        var (shared, _) = await node.CreateAsync();
        var (gone, _) = await node.CreateAsync();
        await node.BeginAsync(busy, "sleep 60");
        using var _ = await node.KillAsync(gone);

        var first = await node.StartRunAsync(new TestRun("sleep 3") { WarmSandboxId = shared });
        await node.RunBecomesAsync(first, r => r.SandboxId == shared, "it has the sandbox");
        var second = await node.RunAsync(new TestRun("true") { WarmSandboxId = shared });
        var inBusy = await node.RunAsync(new TestRun("true") { WarmSandboxId = busy });
        var inGone = await node.RunAsync(new TestRun("true") { WarmSandboxId = gone });

        foreach (var conflict in new[] { second, inBusy })
        {
            Assert.Equal(
                (WorkspaceRunFailure.SandboxConflict, WorkspaceRunFailure.ClassUserInput, null),
                (conflict.FailureReason, conflict.FailureClass, conflict.SandboxId));
            await node.CheckEndAsync(conflict);
        }

        Assert.Equal((WorkspaceRunFailure.SandboxUnavailable, false), (inGone.FailureReason, inGone.OrchestrationSucceeded));
        Assert.Equal(WorkspaceRunStatus.Succeeded, (await node.RunEndsAsync(first)).Status);
        Assert.Equal(SandboxStatus.Ready, (await node.RowAsync(shared)).State);
    }

    [Fact]
    public async Task Ceiling_Reached_WaitsSaysSoOnceAndGoesOn()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (holder, _) = await node.CreateAsync();

        var id = await node.StartRunAsync(new TestRun("true") { Ceiling = 1 });
        await Eventually.HoldsAsync(
            async () => (await node.RunEventsAsync(id)).Any(e => e.Message is not null), "it says what it waits for");
        await Task.WhenAny(node.RunEndsAsync(id), Task.Delay(1500));
        using var _ = await node.KillAsync(holder);

        var row = await node.RunEndsAsync(id);
        Assert.Equal(WorkspaceRunStatus.Succeeded, row.Status);
        var told = Assert.Single(await node.RunEventsAsync(id), e => e.Message is not null);
        Assert.Equal(WorkspaceRunStatus.Starting, told.Status);
        Assert.Contains("1 live sandboxes", told.Message, StringComparison.Ordinal);
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Ceiling_StaysReached_FailsAsUnavailable()
    {
        await using var node = await TestNode.StartAsync(backing, ("Runs:SandboxWait", "00:00:02"));
        await node.CreateAsync();

        var row = await node.RunAsync(new TestRun("true") { Ceiling = 1 });

        Assert.Equal(
            (WorkspaceRunFailure.SandboxUnavailable, WorkspaceRunFailure.ClassPlatform), (row.FailureReason, row.FailureClass));
        Assert.Null(await node.Sandboxes.FindAsync(row.SandboxId!, CancellationToken.None));
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Node_Full_RunWaitsUnclaimedUntilThereIsRoom()
    {
        await using var node = await TestNode.StartAsync(backing, ("Capacity", "1"));
        var (holder, _) = await node.CreateAsync();

        var id = await node.StartRunAsync(new TestRun("true"));
        // Three looks for work.
        await Task.WhenAny(node.RunBecomesAsync(id, r => r.ClaimedBy is not null, "it is claimed"), Task.Delay(1500));
        Assert.Null((await node.RunRowAsync(id)).ClaimedBy);
        using var _ = await node.KillAsync(holder);

        Assert.Equal(WorkspaceRunStatus.Succeeded, (await node.RunEndsAsync(id)).Status);
    }

    [Fact]
    public async Task TwentyRuns_AtOnce_AllSucceed()
    {
        await using var node = await TestNode.StartAsync(backing, ("Capacity", "12"));

        var ids = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => node.StartRunAsync(
            new TestRun("cat number.txt; seq 1 2000")
            {
                Archive = TestArchive.Of(("number.txt", $"{i}\n")),
                Artifacts = ["number.txt"],
            })));

        var numbers = string.Concat(Enumerable.Range(1, 2000).Select(n => $"{n}\n"));
        for (var i = 0; i < ids.Length; i++)
        {
            var row = await Eventually.GivesAsync(
                () => node.RunRowAsync(ids[i]), r => r.ClosedAt is not null, "it ends", TimeSpan.FromMinutes(3));
            Assert.Equal((WorkspaceRunStatus.Succeeded, null), (row.Status, row.FailureMessage));
            Assert.Equal($"{i}\n{numbers}", (await node.RunEventsAsync(row.Id)).Output());
            Assert.Single((await node.CheckEndAsync(row)).Artifacts);
        }
    }

    [Fact]
    public async Task Sandbox_EndsUnderTheCommand_FailsAsThePlatforms()
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun("echo on; sleep 60") { Artifacts = ["a"] });
        await Eventually.HoldsAsync(async () => (await node.RunEventsAsync(id)).Output() == "on\n", "it prints", NodeRuns.Patience);

        using var _ = await node.KillAsync((await node.RunRowAsync(id)).SandboxId!);

        var row = await node.RunEndsAsync(id);
        Assert.Equal(
            (WorkspaceRunFailure.InternalError, WorkspaceRunFailure.ClassPlatform, false, WorkspaceRunCleanup.Succeeded),
            (row.FailureReason, row.FailureClass, row.OrchestrationSucceeded, row.CleanupStatus));
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Output_MoreThanIsKept_IsCutAndSaysSo()
    {
        await using var node = await TestNode.StartAsync(backing, ("Runs:RetainedOutputBytes", "100000"));

        var row = await node.RunAsync(new TestRun("seq 1 100000"));

        Assert.Equal((WorkspaceRunStatus.Succeeded, true), (row.Status, row.OutputTruncated));
        var output = (await node.RunEventsAsync(row.Id)).Output();
        Assert.InRange(output.Length, 80_000, 100_000);
        Assert.Equal(row.OutputBytes, output.Length);
        Assert.StartsWith("1\n2\n3\n", output, StringComparison.Ordinal);
        Assert.True((await node.CheckEndAsync(row)).OutputTruncated);
    }

    [Fact]
    public async Task Output_Flood_IsWholeUpToTheSetting()
    {
        await using var node = await TestNode.StartAsync(backing);

        var row = await node.RunAsync(new TestRun("seq 1 3000000"));

        Assert.Equal((WorkspaceRunStatus.Succeeded, false), (row.Status, row.OutputTruncated));
        var output = (await node.RunEventsAsync(row.Id)).Output();
        Assert.Equal(string.Concat(Enumerable.Range(1, 3_000_000).Select(n => $"{n}\n")), output);
    }

    [Fact]
    public async Task Node_Full_WarmRunNeedsNoRoom()
    {
        await using var node = await TestNode.StartAsync(backing, ("Capacity", "1"));
        var (sandbox, _) = await node.CreateAsync();

        var row = await node.RunAsync(new TestRun("true") { WarmSandboxId = sandbox });

        Assert.Equal(WorkspaceRunStatus.Succeeded, row.Status);
    }
}
