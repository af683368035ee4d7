using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Commands;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>docs/reference/api.md 5.4 on real sandboxes: what becomes of the files that a command was to be collected of.</summary>
[Trait("Needs", "engine")]
public sealed class CollectTests(BackingServices backing)
{
    private const long RetentionMs = 86_400_000;

    [Fact]
    public async Task Collect_Success_MakesAnArtifactOfEachFile()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();

        var row = await CollectAsync(
            node, sandbox, "mkdir -p out && echo '{}' > out/r.json && echo log > /workspace/a.log", Plan("out/../out/./r.json", "/workspace/a.log"));

        Assert.Equal((CommandStatus.Exited, CollectStatus.Succeeded), (row.State, row.CollectStatus));
        Assert.Empty(row.CollectErrors);
        var artifacts = await ListAsync(node);
        var json = artifacts.Single(a => a.Name == "r.json");
        Assert.Equal(
            ("/workspace/out/r.json", "out/r.json", "application/json", 3L),
            (json.SourcePath, json.RemotePath, json.ContentType, json.SizeBytes));
        Assert.Equal(RetentionMs, (json.RetentionExpiresAt - json.CreatedAt).TotalMilliseconds);
        Assert.Equal(("org_test", "prj_test", sandbox), (json.OrgId, json.ProjectId, json.SandboxId));
        Assert.Equal("{}\n", await File.ReadAllTextAsync(Path.Combine(node.ObjectsDirectory, json.ObjectKey)));
        Assert.Equal("text/plain", artifacts.Single(a => a.Name == "a.log").ContentType);
    }

    [Fact]
    public async Task Collect_SomeFail_IsPartialAndSaysWhy()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        var plan = Plan("good", "missing", "../etc/passwd", "link", "folder", "fifo", "large") with { MaxBytes = 1000 };
        plan = plan with { Entries = [.. plan.Entries, new CollectItem("good", "renamed.html")] };

        var row = await CollectAsync(
            node, sandbox, "echo hi > good; mkdir folder; mkfifo fifo; ln -s /etc/passwd link; head -c 1001 /dev/zero > large", plan);

        Assert.Equal(CollectStatus.Partial, row.CollectStatus);
        Assert.Equal(
            [
                ("missing", ErrorCodes.FileNotFound), ("../etc/passwd", ErrorCodes.PathOutsideWorkspace),
                ("link", ErrorCodes.PathOutsideWorkspace), ("folder", CollectFailure.Failed), ("fifo", CollectFailure.Failed),
                ("large", CollectFailure.Failed),
            ],
            row.CollectErrors.Select(e => (e.Path, e.Code)));
        Assert.All(row.CollectErrors, e => Assert.NotEmpty(e.Message));
        Assert.Equal(["good", "renamed.html"], (await ListAsync(node)).Select(a => a.Name).Order());
        Assert.Equal("text/html", (await ListAsync(node)).Single(a => a.Name == "renamed.html").ContentType);
        Assert.Equal(0, await CountAsync(node, ArtifactStates.Storing));
    }

    [Theory]
    [InlineData("exit 3", "success", CollectStatus.Skipped, 0)]
    [InlineData("exit 3", "always", CollectStatus.Succeeded, 1)]
    [InlineData("sleep 60", "success", CollectStatus.Skipped, 0)]
    [InlineData("sleep 60", "always", CollectStatus.Succeeded, 1)]
    public async Task Collect_CommandDoesNotSucceed_GoesByThePolicy(string end, string on, string status, int count)
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();

        var row = await CollectAsync(node, sandbox, $"echo hi > f; {end}", Plan("f") with { On = on }, timeoutMs: 300);

        Assert.Equal(status, row.CollectStatus);
        Assert.Equal(count, (await ListAsync(node)).Count);
    }

    [Fact]
    public async Task Collect_AllFail_IsFailed()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();

        var row = await CollectAsync(node, sandbox, "echo kept", Plan("a", "b"));

        Assert.Equal((CollectStatus.Failed, 2), (row.CollectStatus, row.CollectErrors.Count));
        Assert.Equal(("kept\n", 0), (NodeCommands.Text(row.Stdout), row.ExitCode));
    }

    [Fact]
    public async Task Collect_ObjectStoreAwayForAMoment_Succeeds()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        var blocker = Path.Combine(node.ObjectsDirectory, "artifacts");
        await File.WriteAllTextAsync(blocker, "not a folder");

        var request = await AddAsync(node, sandbox, "echo hi > f", Plan("f"));
        var running = node.PostAsync(request);
        var final = await node.CommandBecomesAsync(request.CommandId, r => r.IsFinal, "it ends");
        Assert.Equal(CollectStatus.Pending, final.CollectStatus);
        File.Delete(blocker);

        Assert.Equal(CollectStatus.Succeeded, (await running).CollectStatus);
        Assert.Single(await ListAsync(node));
    }

    [Fact]
    public async Task Collect_ObjectStoreStaysAway_FailsAndTheResultIsThere()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        await File.WriteAllTextAsync(Path.Combine(node.ObjectsDirectory, "artifacts"), "not a folder");

        var row = await CollectAsync(node, sandbox, "echo hi | tee f g", Plan("f", "g")).WaitAsync(TimeSpan.FromSeconds(40));

        Assert.Equal((CommandStatus.Exited, CollectStatus.Failed, "hi\n"), (row.State, row.CollectStatus, NodeCommands.Text(row.Stdout)));
        Assert.All(row.CollectErrors, e => Assert.Equal(CollectFailure.Failed, e.Code));
        Assert.Equal(0, await CountAsync(node, ArtifactStates.Storing));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Restart_MidwayOfACollection_GoesOnAndDoublesNothing(bool crash)
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        var request = await AddAsync(
            node, sandbox, "echo said; echo a > first; truncate -s 4000M huge; echo b > last", Plan("first", "huge", "last") with { MaxBytes = 1L << 33 });
        var running = node.PostAsync(request);
        await Eventually.HoldsAsync(async () => (await ListAsync(node)).Count == 1, "the first one is stored", TimeSpan.FromSeconds(30));

        if (crash)
        {
            await node.CrashAsync();
        }
        else
        {
            await node.StopAsync();
        }

        await Assert.ThrowsAnyAsync<Exception>(() => running);
        Assert.Equal(CollectStatus.Pending, (await node.CommandRowAsync(request.CommandId)).CollectStatus);
        await node.StartAsync();
        await node.ExecAsync(sandbox, "truncate -s 5 huge");

        var row = await node.CommandBecomesAsync(request.CommandId, r => r.CollectStatus != CollectStatus.Pending, "it is collected");
        Assert.Equal(CollectStatus.Succeeded, row.CollectStatus);
        Assert.Equal(["first", "huge", "last"], (await ListAsync(node)).Select(a => a.Name).Order());
        Assert.Equal(0, await CountAsync(node, ArtifactStates.Storing));
        Assert.Equal("said\n", await reader.FollowToEndAsync(request.CommandId));
        await node.CommandBecomesAsync(request.CommandId, r => r.LogObjectKey is not null, "the log is stored");
    }

    [Fact]
    public async Task Kill_MidwayOfACollection_ClosesIt()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        var request = await AddAsync(node, sandbox, "echo said; truncate -s 4000M huge", Plan("huge", "last") with { MaxBytes = 1L << 33 });
        var running = node.PostAsync(request);
        await node.CommandBecomesAsync(request.CommandId, r => r.IsFinal, "it ends");

        using var killed = await node.KillAsync(sandbox);

        var row = await running;
        Assert.Equal((CommandStatus.Exited, 0, CollectStatus.Failed), (row.State, row.ExitCode, row.CollectStatus));
        Assert.Equal(
            [("huge", CollectFailure.Failed), ("last", CollectFailure.Failed)], row.CollectErrors.Select(e => (e.Path, e.Code)));
        Assert.Empty(await ListAsync(node));
        Assert.Equal("said\n", await reader.FollowToEndAsync(request.CommandId));
    }

    [Fact]
    public async Task Cancel_WhileItIsCollected_ReturnsTheFinalRowAtOnce()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        var request = await AddAsync(node, sandbox, "truncate -s 4000M huge", Plan("huge") with { MaxBytes = 1L << 33 });
        var running = node.PostAsync(request);
        await node.CommandBecomesAsync(request.CommandId, r => r.IsFinal, "it ends");

        var canceled = await node.CancelAsync(request.CommandId, CancelMode.Force);

        Assert.Equal((CommandStatus.Exited, CollectStatus.Pending), (canceled.State, canceled.CollectStatus));
        Assert.False(running.IsCompleted);
        await node.ExecAsync(sandbox, "truncate -s 5 huge");
        Assert.Equal(CollectStatus.Succeeded, (await running).CollectStatus);
    }

    private static CollectPlan Plan(params string[] paths) =>
        new([.. paths.Select(path => new CollectItem(path))], "success", RetentionMs, 1L << 30);

    private static async Task<CommandRow> CollectAsync(
        TestNode node, string sandbox, string command, CollectPlan plan, long? timeoutMs = null) =>
        await node.PostAsync(await AddAsync(node, sandbox, command, plan, timeoutMs));

    private static Task<Platform.Nodes.StartCommand> AddAsync(
        TestNode node, string sandbox, string command, CollectPlan plan, long? timeoutMs = null) =>
        node.AddCommandAsync(sandbox, command, timeoutMs, collect: plan);

    private static Task<List<ArtifactRow>> ListAsync(TestNode node) => new ArtifactStore(node.Database).ListAsync(
        NodeCommands.Owner, new ArtifactFilter { Limit = 100 }, DateTimeOffset.UtcNow, CancellationToken.None);

    private static async Task<long> CountAsync(TestNode node, string state)
    {
        await using var count = node.Database.CreateCommand("SELECT count(*) FROM artifacts WHERE state = @state");
        count.Parameters.AddWithValue("state", state);
        return (long)(await count.ExecuteScalarAsync())!;
    }
}
