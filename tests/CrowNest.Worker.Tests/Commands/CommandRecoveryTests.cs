using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Testing;
using CrowNest.Worker.Agents;
using Npgsql;
using Xunit;
using static CrowNest.Worker.Tests.Commands.NodeCommands;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>Bad days: whatever dies, the command goes on, and who follows it gets every byte once, in order.</summary>
[Trait("Needs", "engine")]
public sealed class CommandRecoveryTests(BackingServices backing)
{
    /// <summary>About 1.4 MB in bursts, for some seconds.</summary>
    private const string Bursts = "for i in $(seq 1 40); do seq -f \"$i-%05.0f €\" 1 2500; sleep 0.1; done";

    private static string BurstsOutput => string.Concat(
        Enumerable.Range(1, 40).SelectMany(i => Enumerable.Range(1, 2500).Select(j => $"{i}-{j:d5} €\n")));

    [Fact]
    public async Task Crash_WhileStreaming_RestartContinuesByteExact()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        var command = await node.BeginAsync(sandbox, Bursts);
        var seen = "";
        var following = reader.FollowToEndAsync(command.Id, s => seen = s);

        foreach (var burst in new[] { "5-", "15-" })
        {
            await Eventually.HoldsAsync(
                () => seen.Contains($"\n{burst}", StringComparison.Ordinal), $"burst {burst}", TimeSpan.FromSeconds(30));
            await node.CrashAsync();
            await node.StartAsync();
        }

        var expected = BurstsOutput;
        Assert.Equal(expected, await following);
        var row = await node.CommandBecomesAsync(command.Id, r => r.IsFinal, "it ends");
        Assert.Equal((CommandStatus.Exited, 0), (row.State, row.ExitCode));
        Assert.StartsWith(Text(row.Stdout), expected, StringComparison.Ordinal);
        Assert.InRange(row.Stdout!.Length, Limits.InlineOutputBytes - 3, Limits.InlineOutputBytes);
        await node.CommandBecomesAsync(command.Id, r => r.LogObjectKey is not null, "the log is stored");
        await reader.ForgetAsync(command.Id);
        Assert.Equal(expected, await reader.ReadAllAsync(command.Id));
    }

    [Fact]
    public async Task Crash_CommandEndsMeanwhile_RestartFinishesIt()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        var loud = await node.BeginAsync(sandbox, "echo begun; sleep 1; echo ended; exit 7");
        var silent = await node.BeginAsync(sandbox, "sleep 1");
        await reader.SeesAsync(loud.Id, "begun\n");

        await node.CrashAsync();
        using (var agent = new AgentClient(Directory.GetFiles(node.StateDirectory, "agent.sock", SearchOption.AllDirectories).Single()))
        {
            await Eventually.HoldsAsync(
                async () => (await agent.ListCommandsAsync(CancellationToken.None)).All(c => c.HasEnded), "both have ended");
        }

        await node.StartAsync();

        var row = await node.CommandBecomesAsync(loud.Id, r => r.IsFinal, "it ends");
        Assert.Equal((CommandStatus.Exited, 7, "begun\nended\n"), (row.State, row.ExitCode, Text(row.Stdout)));
        Assert.Equal("begun\nended\n", await reader.FollowToEndAsync(loud.Id));
        Assert.Equal(0, (await node.CommandBecomesAsync(silent.Id, r => r.IsFinal, "it ends")).ExitCode);
        Assert.Equal("", await reader.FollowToEndAsync(silent.Id));
        await Eventually.HoldsAsync(
            async () => (await node.Agent(sandbox).ListCommandsAsync(CancellationToken.None)).Count == 0, "the agent has forgotten both");
    }

    [Fact]
    public async Task Stop_WhileACallerWaits_AnswersAndRestartContinues()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        var request = await node.AddCommandAsync(sandbox, "sleep 2; echo done");
        var waiting = node.PostAsync(request);
        await node.CommandBecomesAsync(request.CommandId, r => r.State == CommandStatus.Running, "it runs");

        await node.StopAsync().WaitAsync(TimeSpan.FromSeconds(10));
        await Assert.ThrowsAnyAsync<Exception>(() => waiting);
        await node.StartAsync();

        var again = await node.PostAsync(request);
        Assert.Equal((CommandStatus.Exited, "done\n"), (again.State, Text(again.Stdout)));
    }

    [Fact]
    public async Task Redis_RestartedEmptyWhileStreaming_FollowerMissesNothing()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        var command = await node.BeginAsync(sandbox, Bursts);
        var seen = "";
        var following = reader.FollowToEndAsync(command.Id, s => seen = s);

        await Eventually.HoldsAsync(() => seen.Contains("\n8-", StringComparison.Ordinal), "some bursts", TimeSpan.FromSeconds(30));
        node.Redis.Stop();
        await node.Redis.StartAsync();

        var expected = BurstsOutput;
        Assert.Equal(expected, await following);
        Assert.Equal(expected, await reader.ReadAllAsync(command.Id));
        // A late follower, of the stream that was published again.
        Assert.Equal(expected, await reader.FollowToEndAsync(command.Id));
    }

    [Fact]
    public async Task Redis_AwayForAWholeCommand_ResultAndLogAreThere()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        node.Redis.Stop();
        CommandRow row;
        try
        {
            row = await node.RunAsync(sandbox, "seq 1 20000");
            await node.CommandBecomesAsync(row.Id, r => r.LogObjectKey is not null, "the log is stored");
            Assert.EndsWith("\n20000\n", await reader.FollowToEndAsync(row.Id), StringComparison.Ordinal);
        }
        finally
        {
            await node.Redis.StartAsync();
        }

        Assert.Equal(CommandStatus.Exited, row.State);
        Assert.StartsWith("1\n2\n", Text(row.Stdout), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Postgres_AwayAtTheEnd_RowIsFinalWhenItIsBack()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        var command = await node.BeginAsync(sandbox, "sleep 1; echo survived");

        await SetConnectionsAsync(node, allowed: false);
        await Eventually.HoldsAsync(
            async () => (await node.Agent(sandbox).ListCommandsAsync(CancellationToken.None)).Single().HasEnded, "it has ended");
        await SetConnectionsAsync(node, allowed: true);
        node.Database.Clear();

        var row = await node.CommandBecomesAsync(command.Id, r => r.IsFinal, "it ends");
        Assert.Equal((CommandStatus.Exited, "survived\n"), (row.State, Text(row.Stdout)));
    }

    [Fact]
    public async Task ObjectStore_Fails_LogIsStoredWhenItIsBackAlsoByTheNextProcess()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        var blocker = Path.Combine(node.ObjectsDirectory, "logs");
        await File.WriteAllTextAsync(blocker, "not a folder");

        var first = await node.RunAsync(sandbox, "echo first");
        var second = await node.RunAsync(sandbox, "echo second");
        var spool = Path.Combine(node.StateDirectory, "spool");
        await Eventually.HoldsAsync(() => Directory.GetDirectories(spool).Length == 2, "both are spooled");
        Assert.Equal("first\n", await reader.FollowToEndAsync(first.Id));
        await node.CrashAsync();
        await node.StartAsync();
        File.Delete(blocker);

        foreach (var row in new[] { first, second })
        {
            await node.CommandBecomesAsync(row.Id, r => r.LogObjectKey is not null, "the log is stored");
            await reader.ForgetAsync(row.Id);
        }

        Assert.Equal("first\n", await reader.ReadAllAsync(first.Id));
        Assert.Equal("second\n", await reader.ReadAllAsync(second.Id));
        await Eventually.HoldsAsync(() => Directory.GetDirectories(spool).Length == 0, "the spools are gone");
    }

    /// <summary>Refuses the node's database to everyone, or allows it again.</summary>
    private static async Task SetConnectionsAsync(TestNode node, bool allowed)
    {
        var target = new NpgsqlConnectionStringBuilder(node.ConnectionString);
        var name = target.Database;
        target.Database = "postgres";
        await using var admin = new NpgsqlConnection(target.ConnectionString);
        await admin.OpenAsync();
        await using var command = new NpgsqlCommand(
            $"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}; "
            + $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND NOT {allowed}", admin);
        await command.ExecuteNonQueryAsync();
    }
}
