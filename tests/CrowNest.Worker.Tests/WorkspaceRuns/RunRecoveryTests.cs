using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Worker.Tests.WorkspaceRuns;

/// <summary>Whatever dies, when: the run goes on where its row stands, or says honestly that it could not.</summary>
[Trait("Needs", "engine")]
public sealed class RunRecoveryTests(BackingServices backing)
{
    /// <summary>About 700 KB in bursts, for some seconds.</summary>
    private const string Bursts = "for i in $(seq 1 20); do seq -f \"$i-%05.0f €\" 1 2500; sleep 0.1; done";

    private static string BurstsOutput => string.Concat(
        Enumerable.Range(1, 20).SelectMany(i => Enumerable.Range(1, 2500).Select(j => $"{i}-{j:d5} €\n")));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Restart_WhileRunning_GoesOnWithEveryByteOnce(bool clean)
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun(Bursts));

        foreach (var burst in new[] { "\n4-", "\n11-" })
        {
            await PrintsAsync(node, id, burst);
            await RestartAsync(node, clean);
        }

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Succeeded, 0, false), (row.Status, row.ExitCode, row.OutputTruncated));
        Assert.Equal(BurstsOutput, (await node.RunEventsAsync(id)).Output());
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Crash_CommandEndsMeanwhile_IsFinished()
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun("echo on; sleep 1; echo off; echo x > x; exit 4") { Artifacts = ["x"] });
        await Eventually.HoldsAsync(async () => (await node.RunEventsAsync(id)).Output() == "on\n", "it prints", NodeRuns.Patience);

        await node.CrashAsync();
        await Task.WhenAny(node.RunEndsAsync(id), Task.Delay(1500));
        await node.StartAsync();

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunFailure.CommandExit, 4, 1), (row.FailureReason, row.ExitCode, row.ArtifactIds.Count));
        Assert.Equal("on\noff\n", (await node.RunEventsAsync(id)).Output());
        await node.CheckEndAsync(row);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Restart_WhileStarting_GoesOn(bool clean)
    {
        await using var node = await TestNode.StartAsync(backing);
        var ids = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => node.StartRunAsync(new TestRun("echo fine"))));
        foreach (var id in ids)
        {
            await node.RunBecomesAsync(id, r => r.SandboxId is not null, "it has the name of a sandbox");
        }

        await RestartAsync(node, clean);

        foreach (var id in ids)
        {
            var row = await node.RunEndsAsync(id);
            Assert.Equal((WorkspaceRunStatus.Succeeded, null), (row.Status, row.FailureMessage));
            Assert.Equal("fine\n", (await node.RunEventsAsync(id)).Output());
            await node.CheckEndAsync(row);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Restart_WhileExtracting_GoesOn(bool clean)
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun("ls many | wc -l")
        {
            Archive = TestArchive.Many(60_000, i => []),
            MaxEntries = 100_000,
        });
        await node.RunBecomesAsync(id, r => r.Status == WorkspaceRunStatus.Extracting, "it extracts");

        await RestartAsync(node, clean);

        var row = await node.RunEndsAsync(id);
        Assert.Equal(WorkspaceRunStatus.Succeeded, row.Status);
        Assert.Equal("60000\n", (await node.RunEventsAsync(id)).Output());
        await node.CheckEndAsync(row);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Restart_WhileCollecting_CollectsEachOnce(bool clean)
    {
        await using var node = await TestNode.StartAsync(backing);
        var names = Enumerable.Range(0, 20).Select(i => $"f{i}").Append("missing").ToArray();
        var id = await node.StartRunAsync(
            new TestRun("for i in $(seq 0 19); do head -c 8000000 /dev/zero > f$i; done") { Artifacts = names });
        await node.RunBecomesAsync(id, r => r.ArtifactIds.Count >= 3, "it collects");

        await RestartAsync(node, clean);

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Succeeded, 20, 1), (row.Status, row.ArtifactIds.Distinct().Count(), row.ArtifactErrors.Count));
        var events = await node.RunEventsAsync(id);
        Assert.Equal(names[..20], events.Where(e => e.Type == WorkspaceRunEventType.ArtifactCollected).Select(e => e.Path));
        Assert.All((await node.CheckEndAsync(row)).Artifacts, a => Assert.Equal(8_000_000, a.SizeBytes));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ObjectStore_FailsAtTheEvidence_RunWaitsAlsoOverARestart(bool clean)
    {
        await using var node = await TestNode.StartAsync(backing);
        var blocker = Path.Combine(node.ObjectsDirectory, "evidence");
        await File.WriteAllTextAsync(blocker, "not a folder");
        var id = await node.StartRunAsync(new TestRun("exit 1"));
        await Eventually.HoldsAsync(
            async () => (await node.RunEventsAsync(id)).Any(e => e.Message is not null), "it says that it waits", NodeRuns.Patience);
        Assert.False((await node.RunRowAsync(id)).IsFinal);

        await RestartAsync(node, clean);
        File.Delete(blocker);

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Failed, 1), (row.Status, row.ExitCode));
        var told = Assert.Single(await node.RunEventsAsync(id), e => e.Message is not null);
        Assert.Equal((WorkspaceRunStatus.Collecting, WorkspaceRunEventType.Status), (told.Status, told.Type));
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task ObjectStore_LosesTheArchive_FailsAsThePlatforms()
    {
        await using var node = await TestNode.StartAsync(backing);
        await node.CreateAsync();
        var id = await node.StartRunAsync(new TestRun("true") { Ceiling = 1 });
        var row = await node.RunBecomesAsync(id, r => r.SandboxId is not null, "it waits");
        File.Delete(Path.Combine(node.ObjectsDirectory, row.ArchiveKey!));
        await using (var sql = node.Database.CreateCommand(
            "UPDATE workspace_runs SET allowance = jsonb_set(allowance, '{concurrentSandboxes}', '5')"))
        {
            await sql.ExecuteNonQueryAsync();
        }

        await node.CrashAsync();
        await node.StartAsync();

        row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunFailure.InternalError, WorkspaceRunCleanup.Succeeded), (row.FailureReason, row.CleanupStatus));
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Redis_AwayForAWholeRun_NothingIsMissing()
    {
        await using var node = await TestNode.StartAsync(backing);
        node.Redis.Stop();
        try
        {
            var row = await node.RunAsync(new TestRun("seq 1 20000; sleep 1; echo end > e") { Enqueue = false, Artifacts = ["e"] });

            Assert.Equal((WorkspaceRunStatus.Succeeded, false, 1), (row.Status, row.OutputTruncated, row.ArtifactIds.Count));
            Assert.Equal(
                string.Concat(Enumerable.Range(1, 20_000).Select(n => $"{n}\n")), (await node.RunEventsAsync(row.Id)).Output());
            await node.CheckEndAsync(row);
        }
        finally
        {
            await node.Redis.StartAsync();
        }
    }

    [Fact]
    public async Task Redis_RestartedEmptyWhileRunning_NothingIsMissing()
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun(Bursts));
        await PrintsAsync(node, id, "\n5-");

        node.Redis.Stop();
        await node.Redis.StartAsync();

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Succeeded, false), (row.Status, row.OutputTruncated));
        Assert.Equal(BurstsOutput, (await node.RunEventsAsync(id)).Output());
    }

    [Fact]
    public async Task Postgres_AwayForSecondsAtEveryStage_RunGoesOn()
    {
        await using var node = await TestNode.StartAsync(backing, relayed: true);
        var id = await node.StartRunAsync(new TestRun("for i in $(seq 1 100); do echo $i; sleep 0.05; done; head -c 9000000 /dev/zero > z")
        {
            Artifacts = ["z", "missing"],
        });
        foreach (var status in new[] { WorkspaceRunStatus.Starting, WorkspaceRunStatus.Running, WorkspaceRunStatus.Running })
        {
            await node.RunBecomesAsync(id, r => r.Status == status && r.ClaimedBy is not null, status);
            node.Relay!.Cut();
            await Task.WhenAny(node.RunEndsAsync(id), Task.Delay(1500));
            node.Relay.Restore();
        }

        var row = await node.RunEndsAsync(id);
        Assert.Equal(
            (WorkspaceRunStatus.Succeeded, null, 1, 1), (row.Status, row.FailureMessage, row.ArtifactIds.Count, row.ArtifactErrors.Count));
        Assert.Equal(string.Concat(Enumerable.Range(1, 100).Select(n => $"{n}\n")), (await node.RunEventsAsync(id)).Output());
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Postgres_AwayForAMomentWhileItPrints_NothingIsMissing()
    {
        await using var node = await TestNode.StartAsync(backing, relayed: true);
        var id = await node.StartRunAsync(new TestRun(Bursts));
        foreach (var burst in new[] { "\n2-", "\n6-", "\n12-" })
        {
            await PrintsAsync(node, id, burst);
            node.Relay!.Cut();
            await Task.WhenAny(node.RunEndsAsync(id), Task.Delay(300));
            node.Relay.Restore();
        }

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Succeeded, false), (row.Status, row.OutputTruncated));
        Assert.Equal(BurstsOutput, (await node.RunEventsAsync(id)).Output());
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Postgres_AwayDuringAFlood_CommandEndsAndItsOutputIsCut()
    {
        await using var node = await TestNode.StartAsync(backing, relayed: true);
        var id = await node.StartRunAsync(new TestRun("echo on; until [ -e go ]; do sleep 0.1; done; seq 1 3000000; touch done"));
        await Eventually.HoldsAsync(async () => (await node.RunEventsAsync(id)).Output() == "on\n", "it prints", NodeRuns.Patience);
        var sandbox = (await node.RunRowAsync(id)).SandboxId!;

        node.Relay!.Cut();
        var (ended, _) = await node.ExecAsync(sandbox, "touch go; until [ -e done ]; do sleep 0.1; done");
        Assert.Equal(0, ended);
        node.Relay.Restore();

        var row = await node.RunEndsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Succeeded, true), (row.Status, row.OutputTruncated));
        var expected = "on\n" + string.Concat(Enumerable.Range(1, 3_000_000).Select(n => $"{n}\n"));
        Assert.StartsWith((await node.RunEventsAsync(id)).Output(), expected, StringComparison.Ordinal);
        Assert.True((await node.CheckEndAsync(row)).OutputTruncated);
    }

    [Fact]
    public async Task Worker_DeadForGood_AnotherTakesItsRuns()
    {
        var settings = new[] { ("LeaseSeconds", "3") };
        await using var first = await TestNode.StartAsync(backing, settings);
        await first.CreateAsync();
        var running = await first.StartRunAsync(new TestRun("echo on; sleep 60"));
        await Eventually.HoldsAsync(async () => (await first.RunEventsAsync(running)).Output() == "on\n", "it prints", NodeRuns.Patience);
        var waiting = await first.StartRunAsync(new TestRun("echo fine") { Ceiling = 2 });
        await first.RunBecomesAsync(waiting, r => r.SandboxId is not null, "it waits for a sandbox");
        var extracting = await first.StartRunAsync(
            new TestRun("ls many | wc -l") { Archive = TestArchive.Many(60_000, i => []), MaxEntries = 100_000 });
        await first.RunBecomesAsync(extracting, r => r.Status == WorkspaceRunStatus.Extracting, "it extracts");

        await first.CrashAsync();
        await using var second = await first.StartOtherAsync(settings);
        await Eventually.HoldsAsync(async () => await ClosedAsync(first) > 0, "the API closes the books", NodeRuns.Patience);

        foreach (var (id, output) in new[] { (waiting, "fine\n"), (extracting, "60000\n") })
        {
            var row = await second.RunEndsAsync(id);
            Assert.Equal((WorkspaceRunStatus.Succeeded, second.Node.Id), (row.Status, row.ClaimedBy));
            Assert.Equal(output, (await second.RunEventsAsync(id)).Output());
            await second.CheckEndAsync(row);
        }

        var lost = await second.RunEndsAsync(running);
        Assert.Equal((WorkspaceRunFailure.InternalError, false), (lost.FailureReason, lost.OrchestrationSucceeded));
        Assert.Equal("on\n", (await second.RunEventsAsync(running)).Output());
        await second.CheckEndAsync(lost);
    }

    [Fact]
    public async Task Worker_LeaseLapsedWhileItLived_LetsGo()
    {
        await using var node = await TestNode.StartAsync(backing);
        var id = await node.StartRunAsync(new TestRun("echo on; sleep 60"));
        await Eventually.HoldsAsync(async () => (await node.RunEventsAsync(id)).Output() == "on\n", "it prints", NodeRuns.Patience);

        await using (var sql = node.Database.CreateCommand($"""
            INSERT INTO workers (id, url, runtime, started_at, lease_expires_at)
            VALUES ('wrk_other', '', 'runc', now(), now() + interval '1 h');
            UPDATE workspace_runs SET claimed_by = 'wrk_other' WHERE id = '{id}'
            """))
        {
            await sql.ExecuteNonQueryAsync();
        }

        await Eventually.HoldsAsync(() => node.Get<Worker.WorkspaceRuns.Claiming.RunIntake>().Count == 0, "it is let go", TimeSpan.FromSeconds(5));
        var events = await node.RunEventsAsync(id);
        Assert.Equal((WorkspaceRunStatus.Running, "on\n"), (events.Statuses()[^1], events.Output()));
    }

    private static Task PrintsAsync(TestNode node, string id, string text) => Eventually.HoldsAsync(
        async () => (await node.RunEventsAsync(id)).Output().Contains(text, StringComparison.Ordinal), "it prints", NodeRuns.Patience);

    private static async Task<int> ClosedAsync(TestNode node) => (await node.Sandboxes.CloseAbandonedAsync(
        DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddMinutes(-2), CancellationToken.None)).SandboxIds.Count;

    private static async Task RestartAsync(TestNode node, bool clean)
    {
        await (clean ? node.StopAsync() : node.CrashAsync());
        await node.StartAsync();
    }
}
