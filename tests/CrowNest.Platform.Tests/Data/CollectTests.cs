using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

/// <summary>
/// The ways of <c>collectStatus</c> (docs/reference/api.md 5.4) through the statements that end commands, collections and sandboxes.
/// </summary>
public sealed class CollectTests(StoreFixture fixture) : IClassFixture<StoreFixture>
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;
    private static readonly CollectFailure Failure = new(ErrorCodes.FileNotFound, "There is no such file.", "b");

    private CommandStore Store => fixture.Commands;

    [Theory]
    [InlineData("success", CommandStatus.Exited, 0, CollectStatus.Pending)]
    [InlineData("success", CommandStatus.Exited, 1, CollectStatus.Skipped)]
    [InlineData("success", CommandStatus.TimedOut, null, CollectStatus.Skipped)]
    [InlineData("success", CommandStatus.Canceled, null, CollectStatus.Skipped)]
    [InlineData("success", CommandStatus.Failed, null, CollectStatus.Skipped)]
    [InlineData("success", CommandStatus.Killed, null, CollectStatus.Skipped)]
    [InlineData("always", CommandStatus.Exited, 1, CollectStatus.Pending)]
    [InlineData("always", CommandStatus.TimedOut, null, CollectStatus.Pending)]
    [InlineData("always", CommandStatus.Canceled, null, CollectStatus.Pending)]
    [InlineData("always", CommandStatus.Failed, null, CollectStatus.Pending)]
    [InlineData(null, CommandStatus.Exited, 0, CollectStatus.NotRequested)]
    [InlineData(null, CommandStatus.Killed, null, CollectStatus.NotRequested)]
    public async Task FinishAsync_EachPolicyAndEnd_DecidesWhetherToCollect(string? on, string state, int? exitCode, string expected)
    {
        var (_, id) = await AddAsync(on);

        var row = await Store.FinishAsync(
            id, new CommandEnd { State = state, ExitCode = exitCode, FinishedAt = Now }, CancellationToken.None);

        Assert.Equal(expected, row!.CollectStatus);
        Assert.Equal(on is null ? null : 2, row.Collect?.Entries.Count);
    }

    [Theory]
    [InlineData(CollectStatus.Succeeded)]
    [InlineData(CollectStatus.Partial)]
    [InlineData(CollectStatus.Failed)]
    public async Task FinishCollectAsync_Twice_FirstStands(string status)
    {
        var (_, id) = await AddAsync("success");
        Assert.Null(await Store.FinishCollectAsync(id, status, [], CancellationToken.None));
        await FinishAsync(id);
        CollectFailure[] errors = status == CollectStatus.Succeeded ? [] : [Failure];

        var first = await Store.FinishCollectAsync(id, status, errors, CancellationToken.None);
        var second = await Store.FinishCollectAsync(id, CollectStatus.Failed, [Failure, Failure], CancellationToken.None);

        Assert.Equal(status, first!.CollectStatus);
        Assert.Null(second);
        var row = await Store.FindAsync(id, CancellationToken.None);
        Assert.Equal(status, row!.CollectStatus);
        Assert.Equal(errors, row.CollectErrors);
    }

    [Theory]
    [InlineData("success", true, CollectStatus.Failed)]
    [InlineData("always", true, CollectStatus.Failed)]
    [InlineData("success", false, CollectStatus.Skipped)]
    [InlineData("always", false, CollectStatus.Failed)]
    [InlineData(null, false, CollectStatus.NotRequested)]
    public async Task SandboxEnds_CollectionPending_IsClosedWithIt(string? on, bool finished, string expected)
    {
        foreach (var how in new[] { "destroyed", "failed", "abandoned" })
        {
            var (sandbox, id) = await AddAsync(on, workerId: how == "abandoned" ? "wrk_lost" : StoreFixture.WorkerId);
            if (finished)
            {
                await FinishAsync(id);
            }

            switch (how)
            {
                case "destroyed":
                    await fixture.Sandboxes.MarkExpiringAsync(sandbox, DestroyedReason.UserKilled, CancellationToken.None);
                    await fixture.Sandboxes.MarkDestroyedAsync(sandbox, Now, CancellationToken.None);
                    break;
                case "failed":
                    await fixture.Sandboxes.MarkFailedAsync(sandbox, "lost", Now, CancellationToken.None);
                    break;
                default:
                    await fixture.Sandboxes.CloseAbandonedAsync(Now, Now.AddMinutes(1), CancellationToken.None);
                    break;
            }

            var row = await Store.FindAsync(id, CancellationToken.None);
            Assert.Equal((finished ? CommandStatus.Exited : CommandStatus.Killed, expected), (row!.State, row.CollectStatus));
            Assert.Equal(
                expected == CollectStatus.Failed ? [("a", CollectFailure.Failed), ("b", CollectFailure.Failed)] : [],
                row.CollectErrors.Select(e => (e.Path, e.Code)));
            Assert.All(row.CollectErrors, e => Assert.NotEmpty(e.Message));
        }
    }

    [Theory]
    [InlineData(CollectStatus.Succeeded)]
    [InlineData(CollectStatus.Partial)]
    [InlineData(CollectStatus.Skipped)]
    public async Task SandboxEnds_CollectionOver_StaysAsItIs(string status)
    {
        var (sandbox, id) = await AddAsync("success");
        await FinishAsync(id, exitCode: status == CollectStatus.Skipped ? 1 : 0);
        await Store.FinishCollectAsync(id, status, status == CollectStatus.Partial ? [Failure] : [], CancellationToken.None);

        await fixture.Sandboxes.MarkFailedAsync(sandbox, "lost", Now, CancellationToken.None);

        var row = await Store.FindAsync(id, CancellationToken.None);
        Assert.Equal((CommandStatus.Exited, status), (row!.State, row.CollectStatus));
        Assert.Equal(status == CollectStatus.Partial ? 1 : 0, row.CollectErrors.Count);
    }

    [Fact]
    public async Task ListActiveOfWorkerAsync_FinalButToBeCollected_IsInIt()
    {
        var worker = $"wrk_{Guid.NewGuid():n}";
        var (_, active) = await AddAsync(null, worker);
        var (_, pending) = await AddAsync("success", worker);
        await FinishAsync(pending);
        var (_, over) = await AddAsync("success", worker);
        await FinishAsync(over);
        await Store.FinishCollectAsync(over, CollectStatus.Succeeded, [], CancellationToken.None);

        var rows = await Store.ListActiveOfWorkerAsync(worker, CancellationToken.None);

        Assert.Equal(new[] { active, pending }.Order(), rows.Select(r => r.Id).Order());
    }

    private async Task<(string Sandbox, string Command)> AddAsync(string? on, string workerId = StoreFixture.WorkerId)
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant, workerId);
        if (workerId == "wrk_lost")
        {
            await using var lease = fixture.Database.CreateCommand("""
                INSERT INTO workers (id, url, runtime, started_at, lease_expires_at) VALUES ('wrk_lost', 'http://x', 'runc', @past, @past)
                ON CONFLICT DO NOTHING
                """);
            lease.Parameters.AddWithValue("past", Now.AddMinutes(-5));
            await lease.ExecuteNonQueryAsync();
        }

        var command = StoreFixture.NewCommand(sandbox) with
        {
            Collect = on is null ? null : new CollectPlan([new CollectItem("a"), new CollectItem("b", "named")], on, 1000, 1000),
        };
        Assert.True((await Store.InsertAsync(tenant.Ownership, command, null, CancellationToken.None))!.Added);
        return (sandbox, command.Id);
    }

    private Task<CommandRow?> FinishAsync(string id, int exitCode = 0) => Store.FinishAsync(
        id, new CommandEnd { State = CommandStatus.Exited, ExitCode = exitCode, FinishedAt = Now }, CancellationToken.None);
}
