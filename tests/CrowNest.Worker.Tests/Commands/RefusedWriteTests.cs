using System.Net;
using System.Net.Http.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Testing;
using CrowNest.Worker.Commands;
using CrowNest.Worker.Commands.Output;
using Xunit;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>A database that refuses for good is not asked for ever: each write has an end.</summary>
[Trait("Needs", "engine")]
public sealed class RefusedWriteTests(BackingServices backing)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Finish_ResultRefused_CommandFailsWithoutIt()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        await RefuseAsync(node, "state <> 'exited'");

        var row = await node.RunAsync(sandbox, "echo hi").WaitAsync(Limit);

        Assert.Equal((CommandStatus.Failed, ErrorCodes.RuntimeError), (row.State, row.FailureCode));
        Assert.Equal("The result of the command could not be stored.", row.FailureMessage);
        Assert.True(row.StdoutTruncated);
        Assert.Empty(row.Stdout!);
        Assert.Equal(1, row.LastSeq);
    }

    [Fact]
    public async Task Finish_EveryEndRefused_IsGivenUpUntilTheNextRound()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        await RefuseAsync(node, "finished_at IS NULL");
        var request = await node.AddCommandAsync(sandbox, "echo hi");

        using var response = await node.Http.PostAsJsonAsync("/internal/commands", request).WaitAsync(Limit);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        await Eventually.HoldsAsync(() => !node.Get<CommandRunner>().IsRunning(request.CommandId), "it is let go of");
        Assert.False((await node.CommandRowAsync(request.CommandId)).IsFinal);

        await AllowAsync(node);
        await node.Get<CommandReconciliation>().ReconcileAsync(CancellationToken.None);

        var row = await node.CommandBecomesAsync(request.CommandId, row => row.IsFinal, "the row is closed");
        Assert.Equal((CommandStatus.Exited, "hi\n"), (row.State, NodeCommands.Text(row.Stdout)));
    }

    [Fact]
    public async Task Collect_EndRefused_CollectionFails()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        await RefuseAsync(node, "collect_status <> 'succeeded'");
        var plan = new CollectPlan([new CollectItem("f")], "always", 86_400_000, 1000);

        var row = await node.PostAsync(await node.AddCommandAsync(sandbox, "echo hi > f", collect: plan)).WaitAsync(Limit);

        Assert.Equal((CommandStatus.Exited, CollectStatus.Failed), (row.State, row.CollectStatus));
    }

    [Fact]
    public async Task Log_KeyRefused_IsLeftToTheNextProcess()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        await RefuseAsync(node, "log_object_key IS NULL");

        var row = await node.RunAsync(sandbox, "echo hi");

        await node.Get<LogArchiver>().WhenIdleAsync().WaitAsync(Limit);
        Assert.True(node.Get<LogArchiver>().IsKeeping(row.Id));
        Assert.Contains(row.Id, node.Get<SpoolFolder>().CommandIds);

        await AllowAsync(node);
        await node.StopAsync();
        await node.StartAsync();
        await node.CommandBecomesAsync(row.Id, stored => stored.LogObjectKey is not null, "the log is stored");
    }

    private static async Task RefuseAsync(TestNode node, string unless)
    {
        await using var sql = node.Database.CreateCommand($"ALTER TABLE commands ADD CONSTRAINT refused CHECK ({unless})");
        await sql.ExecuteNonQueryAsync();
    }

    private static async Task AllowAsync(TestNode node)
    {
        await using var sql = node.Database.CreateCommand("ALTER TABLE commands DROP CONSTRAINT refused");
        await sql.ExecuteNonQueryAsync();
    }
}
