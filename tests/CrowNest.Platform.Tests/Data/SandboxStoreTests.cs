using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

public sealed class SandboxStoreTests(StoreFixture fixture) : IClassFixture<StoreFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    private SandboxStore Store => fixture.Sandboxes;

    [Fact]
    public async Task InsertAsync_ManyAtOnce_NeverPassesTheCeiling()
    {
        var tenant = await fixture.AddTenantAsync();

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ =>
            Store.InsertAsync(fixture.NewSandbox(tenant), ceiling: 5, null, CancellationToken.None)));

        Assert.Equal(5, outcomes.Count(o => o is null));
        Assert.All(outcomes.Where(o => o is not null), current => Assert.Equal(5, current));
        Assert.Equal(5, (await Store.ListAsync(tenant.Ownership, new SandboxFilter { Limit = 100 }, CancellationToken.None)).Count);
    }

    [Fact]
    public async Task FindAsync_OtherOrganizationOrProject_FindsNothing()
    {
        var tenant = await fixture.AddTenantAsync();
        var stranger = await fixture.AddTenantAsync();
        var id = await fixture.AddReadyAsync(tenant);

        Assert.NotNull(await Store.FindAsync(tenant.Ownership, id, CancellationToken.None));
        Assert.NotNull(await Store.FindAsync(new Ownership(tenant.OrgId, [tenant.ProjectId]), id, CancellationToken.None));
        Assert.Null(await Store.FindAsync(stranger.Ownership, id, CancellationToken.None));
        Assert.Null(await Store.FindAsync(new Ownership(tenant.OrgId, ["prj_other"]), id, CancellationToken.None));
        Assert.Null(await Store.FindAsync(new Ownership(tenant.OrgId, []), id, CancellationToken.None));
    }

    [Theory]
    [InlineData(SandboxStatus.Destroyed)]
    [InlineData(SandboxStatus.Failed)]
    public async Task Mark_FinalSandbox_ChangesNothing(string final)
    {
        var id = await fixture.AddReadyAsync(await fixture.AddTenantAsync());
        if (final == SandboxStatus.Failed)
        {
            Assert.True(await Store.MarkFailedAsync(id, "lost", Now, CancellationToken.None));
        }
        else
        {
            Assert.True(await Store.MarkExpiringAsync(id, DestroyedReason.UserKilled, CancellationToken.None));
            Assert.True(await Store.MarkDestroyedAsync(id, Now, CancellationToken.None));
        }

        Assert.False(await Store.MarkStartingAsync(id, StoreFixture.WorkerId, CancellationToken.None));
        Assert.False(await Store.MarkReadyAsync(id, StoreFixture.WorkerId, "c", "runc", false, Now, CancellationToken.None));
        Assert.False(await Store.MarkExpiringAsync(id, DestroyedReason.TtlExpired, CancellationToken.None));
        Assert.False(await Store.MarkFailedAsync(id, "again", Now, CancellationToken.None));
        Assert.False(await Store.MarkDestroyedAsync(id, Now, CancellationToken.None));
        Assert.Equal(final, (await Store.FindAsync(id, CancellationToken.None))!.State);
    }

    [Fact]
    public async Task MarkExpiringAsync_Twice_KeepsTheFirstReason()
    {
        var id = await fixture.AddReadyAsync(await fixture.AddTenantAsync());

        Assert.True(await Store.MarkExpiringAsync(id, DestroyedReason.TtlExpired, CancellationToken.None));
        Assert.False(await Store.MarkExpiringAsync(id, DestroyedReason.UserKilled, CancellationToken.None));

        Assert.Equal(DestroyedReason.TtlExpired, (await Store.FindAsync(id, CancellationToken.None))!.DestroyedReason);
    }

    [Fact]
    public async Task MarkDestroyedAsync_ActiveCommands_AreKilledWithIt()
    {
        var tenant = await fixture.AddTenantAsync();
        var id = await fixture.AddReadyAsync(tenant);
        var command = StoreFixture.NewCommand(id);
        await fixture.Commands.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);

        await Store.MarkExpiringAsync(id, DestroyedReason.UserKilled, CancellationToken.None);
        await Store.MarkDestroyedAsync(id, Now, CancellationToken.None);

        var row = await fixture.Commands.FindAsync(command.Id, CancellationToken.None);
        Assert.Equal((CommandStatus.Killed, KilledReason.SandboxDestroyed), (row!.State, row.KilledReason));
        Assert.Equal(Now, row.FinishedAt);
    }

    [Fact]
    public async Task Status_WorkComesAndGoes_IsReadyRunningIdle()
    {
        var tenant = await fixture.AddTenantAsync();
        var id = await fixture.AddReadyAsync(tenant);
        Assert.Equal(SandboxStatus.Ready, await StatusAsync(id));

        var command = StoreFixture.NewCommand(id);
        await fixture.Commands.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
        Assert.Equal(SandboxStatus.Running, await StatusAsync(id));

        await fixture.Commands.FinishAsync(
            command.Id, new CommandEnd { State = CommandStatus.Exited, ExitCode = 0, FinishedAt = Now }, CancellationToken.None);
        Assert.Equal(SandboxStatus.Idle, await StatusAsync(id));

        foreach (var status in new[] { SandboxStatus.Ready, SandboxStatus.Running, SandboxStatus.Idle, SandboxStatus.Destroyed })
        {
            var listed = await Store.ListAsync(tenant.Ownership, new SandboxFilter { Status = status, Limit = 10 }, CancellationToken.None);
            Assert.Equal(status == SandboxStatus.Idle, listed.Count == 1);
        }
    }

    [Fact]
    public async Task TakeDueAsync_DeadlineIdleAndKilled_ReturnsExactlyThose()
    {
        const string worker = "wrk_due";
        var tenant = await fixture.AddTenantAsync();
        var expired = await fixture.AddReadyAsync(tenant, worker, Now.AddMinutes(-1));
        var idle = await fixture.AddReadyAsync(tenant, worker, Now.AddSeconds(-40));
        var busy = await fixture.AddReadyAsync(tenant, worker, Now.AddSeconds(-40));
        var killed = await fixture.AddReadyAsync(tenant, worker, Now);
        var fresh = await fixture.AddReadyAsync(tenant, worker, Now);
        var elsewhere = await fixture.AddReadyAsync(tenant, "wrk_elsewhere", Now.AddMinutes(-1));
        await fixture.Commands.InsertAsync(tenant.Ownership, StoreFixture.NewCommand(busy, Now.AddSeconds(-30)), null, CancellationToken.None);
        await Store.MarkExpiringAsync(killed, DestroyedReason.UserKilled, CancellationToken.None);

        var due = await Store.TakeDueAsync(worker, Now, TimeSpan.FromSeconds(20), onlyId: null, CancellationToken.None);

        Assert.Equal(new[] { expired, idle, killed }.Order(), due.Order());
        Assert.Equal(DestroyedReason.TtlExpired, (await Store.FindAsync(expired, CancellationToken.None))!.DestroyedReason);
        Assert.Equal(DestroyedReason.IdleExpired, (await Store.FindAsync(idle, CancellationToken.None))!.DestroyedReason);
        Assert.Equal(SandboxStatus.Ready, (await Store.FindAsync(fresh, CancellationToken.None))!.State);
        Assert.Equal(SandboxStatus.Ready, (await Store.FindAsync(elsewhere, CancellationToken.None))!.State);
        Assert.Empty(await Store.TakeDueAsync(worker, Now, null, onlyId: fresh, CancellationToken.None));
    }

    /// <summary>Work counts until it ended, whatever the sandbox's age.</summary>
    [Theory]
    [InlineData(19, false)]
    [InlineData(20, false)]
    [InlineData(21, true)]
    public async Task TakeDueAsync_LastCommandEndedSoLongAgo_IsIdleOnlyBehindTheTime(int endedSecondsAgo, bool idle)
    {
        var worker = Ids.New(Ids.Worker);
        var tenant = await fixture.AddTenantAsync();
        var id = await fixture.AddReadyAsync(tenant, worker, Now.AddSeconds(-50));
        foreach (var ended in new[] { 45, endedSecondsAgo })
        {
            var command = StoreFixture.NewCommand(id, Now.AddSeconds(-48));
            await fixture.Commands.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
            await fixture.Commands.FinishAsync(
                command.Id, new CommandEnd { State = CommandStatus.Exited, ExitCode = 0, FinishedAt = Now.AddSeconds(-ended) },
                CancellationToken.None);
        }

        var due = await Store.TakeDueAsync(worker, Now, TimeSpan.FromSeconds(20), onlyId: null, CancellationToken.None);

        Assert.Equal(idle ? [id] : [], due);
    }

    [Fact]
    public async Task ExtendAsync_PastDeadlineOrForeign_IsRefused()
    {
        var tenant = await fixture.AddTenantAsync();
        var id = await fixture.AddReadyAsync(tenant, createdAt: Now);

        Assert.True(await Store.ExtendAsync(tenant.Ownership, id, 5_000, Now.AddSeconds(1), CancellationToken.None));
        Assert.Equal(Now.AddSeconds(6), (await Store.FindAsync(id, CancellationToken.None))!.ExpiresAt);
        Assert.False(await Store.ExtendAsync((await fixture.AddTenantAsync()).Ownership, id, 5_000, Now, CancellationToken.None));
        Assert.False(await Store.ExtendAsync(tenant.Ownership, id, 5_000, Now.AddSeconds(6), CancellationToken.None));
    }

    [Fact]
    public async Task CloseAbandonedAsync_LapsedLease_FailsItsSandboxesAndKillsTheirCommands()
    {
        var tenant = await fixture.AddTenantAsync();
        var workers = new WorkerStore(fixture.Database);
        await workers.RenewLeaseAsync("wrk_lapsed", "http://a", "runc", Now.AddMinutes(-1), TimeSpan.FromSeconds(15), CancellationToken.None);
        await workers.RenewLeaseAsync("wrk_alive", "http://b", "runc", Now, TimeSpan.FromSeconds(15), CancellationToken.None);
        var lost = await fixture.AddReadyAsync(tenant, "wrk_lapsed", Now);
        var dying = await fixture.AddReadyAsync(tenant, "wrk_lapsed", Now);
        var expired = await fixture.AddReadyAsync(tenant, "wrk_lapsed", Now.AddMinutes(-2));
        var safe = await fixture.AddReadyAsync(tenant, "wrk_alive", Now.AddMinutes(-2));
        var command = StoreFixture.NewCommand(lost, Now);
        await fixture.Commands.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
        await Store.MarkExpiringAsync(dying, DestroyedReason.UserKilled, CancellationToken.None);
        var orphan = fixture.NewSandbox(tenant, Now.AddMinutes(-5)) with { TtlMs = 600_000 };
        await Store.InsertAsync(orphan, 100, null, CancellationToken.None);

        await Store.CloseAbandonedAsync(Now, abandonedBefore: Now.AddMinutes(-1), CancellationToken.None);

        Assert.Equal(SandboxStatus.Failed, await StatusAsync(lost));
        Assert.Equal(SandboxStatus.Destroyed, await StatusAsync(dying));
        Assert.Equal(DestroyedReason.UserKilled, (await Store.FindAsync(dying, CancellationToken.None))!.DestroyedReason);
        Assert.Equal(DestroyedReason.TtlExpired, (await Store.FindAsync(expired, CancellationToken.None))!.DestroyedReason);
        Assert.Equal(SandboxStatus.Ready, await StatusAsync(safe));
        Assert.Equal(SandboxStatus.Failed, await StatusAsync(orphan.Id));
        Assert.Equal(CommandStatus.Killed, (await fixture.Commands.FindAsync(command.Id, CancellationToken.None))!.State);
        Assert.Equal(["wrk_alive"], (await workers.ListLiveAsync(Now, CancellationToken.None)).Keys);
    }

    [Fact]
    public async Task ListAsync_PagesWhileRowsComeAndGo_GivesEachOnceInOrder()
    {
        var tenant = await fixture.AddTenantAsync();
        var ids = new List<string>();
        foreach (var second in Enumerable.Range(0, 9))
        {
            // Three share each instant: ties are broken by id.
            ids.Add(await fixture.AddReadyAsync(tenant, createdAt: Now.AddSeconds(second / 3)));
        }

        var seen = new List<SandboxRow>();
        ListPosition? after = null;
        while (true)
        {
            var page = await Store.ListAsync(tenant.Ownership, new SandboxFilter { Limit = 2, After = after }, CancellationToken.None);
            if (page.Count == 0)
            {
                break;
            }

            seen.AddRange(page);
            after = new ListPosition(page[^1].CreatedAt, page[^1].Id);
            await fixture.AddReadyAsync(tenant, createdAt: Now.AddHours(1));
        }

        Assert.Equal(ids.Order(), seen.Select(s => s.Id).Order());
        Assert.Equal(seen.OrderByDescending(s => s.CreatedAt).ThenByDescending(s => s.Id, StringComparer.Ordinal), seen);
    }

    [Fact]
    public async Task ListAsync_MetadataFilters_CombineWithAnd()
    {
        var tenant = await fixture.AddTenantAsync();
        var both = fixture.NewSandbox(tenant, metadata: new Dictionary<string, string> { ["a.b"] = "1", ["c"] = "x/y '\"" });
        var one = fixture.NewSandbox(tenant, metadata: new Dictionary<string, string> { ["a.b"] = "1" });
        await Store.InsertAsync(both, 10, null, CancellationToken.None);
        await Store.InsertAsync(one, 10, null, CancellationToken.None);

        var found = await Store.ListAsync(
            tenant.Ownership, new SandboxFilter { Metadata = both.Metadata, Limit = 10 }, CancellationToken.None);

        var row = Assert.Single(found);
        Assert.Equal(both.Metadata, row.Metadata);
    }

    private async Task<string> StatusAsync(string id) => (await Store.FindAsync(id, CancellationToken.None))!.Status;
}
