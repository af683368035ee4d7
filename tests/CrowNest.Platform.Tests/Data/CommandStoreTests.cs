using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Tenancy;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

public sealed class CommandStoreTests(StoreFixture fixture) : IClassFixture<StoreFixture>
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    private CommandStore Store => fixture.Commands;

    [Fact]
    public async Task InsertAsync_ReadySandbox_QueuesAndNamesTheWorker()
    {
        var tenant = await fixture.AddTenantAsync();
        var command = StoreFixture.NewCommand(await fixture.AddReadyAsync(tenant));

        var insert = await Store.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);

        Assert.Equal(new CommandInsert(true, SandboxStatus.Ready, StoreFixture.WorkerId), insert);
        Assert.Equal(CommandStatus.Queued, (await Store.FindAsync(tenant.Ownership, command.Id, CancellationToken.None))!.State);
    }

    [Fact]
    public async Task InsertAsync_SandboxOfAnotherOrganization_IsNothing()
    {
        var stranger = await fixture.AddTenantAsync();
        var command = StoreFixture.NewCommand(await fixture.AddReadyAsync(await fixture.AddTenantAsync()));

        Assert.Null(await Store.InsertAsync(stranger.Ownership, command, null, CancellationToken.None));
        Assert.Null(await Store.FindAsync(command.Id, CancellationToken.None));
    }

    [Fact]
    public async Task FindAndList_OfAnotherOrganizationOrProject_AreNothing()
    {
        var tenant = await fixture.AddTenantAsync();
        var stranger = await fixture.AddTenantAsync();
        var command = StoreFixture.NewCommand(await fixture.AddReadyAsync(tenant));
        await Store.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
        Ownership[] others =
        [
            stranger.Ownership, new(tenant.OrgId, ["prj_other"]), new(tenant.OrgId, []), new(stranger.OrgId, [tenant.ProjectId]),
        ];

        foreach (var other in others)
        {
            Assert.Null(await Store.FindAsync(other, command.Id, CancellationToken.None));
            Assert.Empty(await Store.ListAsync(other, command.SandboxId, null, 10, CancellationToken.None));
            Assert.Null(await Store.InsertAsync(other, StoreFixture.NewCommand(command.SandboxId), null, CancellationToken.None));
        }

        var own = new Ownership(tenant.OrgId, ["prj_other", tenant.ProjectId]);
        Assert.NotNull(await Store.FindAsync(own, command.Id, CancellationToken.None));
        Assert.Single(await Store.ListAsync(own, command.SandboxId, null, 10, CancellationToken.None));
    }

    [Fact]
    public async Task InsertAsync_PastTheDeadline_AddsNothing()
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant, createdAt: Now.AddMinutes(-2));

        var insert = await Store.InsertAsync(tenant.Ownership, StoreFixture.NewCommand(sandbox, Now), null, CancellationToken.None);

        Assert.Equal((false, SandboxStatus.Expiring), (insert!.Added, insert.SandboxState));
    }

    [Fact]
    public async Task InsertAsync_WhileTheSandboxEnds_LeavesNoCommandActive()
    {
        var tenant = await fixture.AddTenantAsync();
        foreach (var round in Enumerable.Range(0, 10))
        {
            var sandbox = await fixture.AddReadyAsync(tenant);
            var inserts = Enumerable.Range(0, 8).Select(_ =>
                Store.InsertAsync(tenant.Ownership, StoreFixture.NewCommand(sandbox), null, CancellationToken.None));
            var end = EndAsync(sandbox);
            await Task.WhenAll(inserts);
            await end;

            var commands = await Store.ListAsync(tenant.Ownership, sandbox, null, 100, CancellationToken.None);
            Assert.All(commands, c => Assert.True(c.IsFinal, $"round {round}: {c.State}"));
        }

        async Task EndAsync(string id)
        {
            await fixture.Sandboxes.MarkExpiringAsync(id, DestroyedReason.UserKilled, CancellationToken.None);
            await fixture.Sandboxes.MarkDestroyedAsync(id, Now, CancellationToken.None);
        }
    }

    [Fact]
    public async Task FinishAsync_Twice_FirstStands()
    {
        var tenant = await fixture.AddTenantAsync();
        var command = StoreFixture.NewCommand(await fixture.AddReadyAsync(tenant));
        await Store.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
        await Store.MarkRunningAsync(command.Id, Now, CancellationToken.None);

        var ends = await Task.WhenAll(
            Store.FinishAsync(command.Id, new CommandEnd { State = CommandStatus.Exited, ExitCode = 3, FinishedAt = Now }, CancellationToken.None),
            Store.FinishAsync(command.Id, new CommandEnd { State = CommandStatus.Canceled, FinishedAt = Now }, CancellationToken.None));

        var stands = Assert.Single(ends, e => e is not null);
        Assert.Equal(stands!.State, (await Store.FindAsync(command.Id, CancellationToken.None))!.State);
        Assert.False(await Store.MarkRunningAsync(command.Id, Now, CancellationToken.None));
    }

    [Fact]
    public async Task FinishAsync_BinaryOutput_ComesBackAsItWas()
    {
        var tenant = await fixture.AddTenantAsync();
        var command = StoreFixture.NewCommand(await fixture.AddReadyAsync(tenant));
        await Store.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
        byte[] output = [0, 255, 10, 0];

        await Store.FinishAsync(
            command.Id,
            new CommandEnd { State = CommandStatus.Exited, FinishedAt = Now, Stdout = output, StderrTruncated = true, LastSeq = 2, OldestSeq = 1 },
            CancellationToken.None);

        var row = await Store.FindAsync(tenant.Ownership, command.Id, CancellationToken.None);
        Assert.Equal(output, row!.Stdout);
        Assert.Equal((false, true, 1, 2), (row.StdoutTruncated, row.StderrTruncated, row.OldestSeq, row.LastSeq));
        Assert.Null(Assert.Single(await Store.ListAsync(tenant.Ownership, command.SandboxId, null, 10, CancellationToken.None)).Stdout);
    }

    [Fact]
    public async Task SaveOutputAsync_CommandKilledWithItsSandbox_AddsOutputAndKeepsTheState()
    {
        var tenant = await fixture.AddTenantAsync();
        var command = StoreFixture.NewCommand(await fixture.AddReadyAsync(tenant));
        await Store.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
        await fixture.Sandboxes.MarkFailedAsync(command.SandboxId, "lost", Now, CancellationToken.None);

        await Store.SaveOutputAsync(
            command.Id, new CommandEnd { State = CommandStatus.Killed, FinishedAt = Now, Stdout = "partial"u8.ToArray() }, CancellationToken.None);

        var row = await Store.FindAsync(command.Id, CancellationToken.None);
        Assert.Equal((CommandStatus.Killed, KilledReason.SandboxDestroyed), (row!.State, row.KilledReason));
        Assert.Equal("partial"u8.ToArray(), row.Stdout);
    }
}
