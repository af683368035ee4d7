using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

/// <summary>Who is given up with a lease, and when. Each test has its own database, because closing books looks at all of it.</summary>
public sealed class LapsedLeaseTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
    private readonly StoreFixture _fixture = new(postgres);

    private SandboxStore Store => _fixture.Sandboxes;

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    /// <summary>A lease counts to its last instant, and so does the time within which a node must take a sandbox on.</summary>
    [Theory]
    [InlineData(8_000, true)]
    [InlineData(1, true)]
    [InlineData(0, true)]
    [InlineData(-1, false)]
    public async Task CloseAbandonedAsync_AroundTheLapse_ClosesNothingBeforeIt(int leftMs, bool lives)
    {
        var tenant = await _fixture.AddTenantAsync();
        var worker = Ids.New(Ids.Worker);
        var left = TimeSpan.FromMilliseconds(leftMs);
        var workers = new WorkerStore(_fixture.Database);
        await workers.RenewLeaseAsync(worker, "http://a", "runc", Now, left, CancellationToken.None);
        var id = await _fixture.AddReadyAsync(tenant, worker, Now);
        var untaken = _fixture.NewSandbox(tenant, Now - TimeSpan.FromSeconds(30) + left) with { TtlMs = 600_000 };
        await Store.InsertAsync(untaken, 100, null, CancellationToken.None);

        await Store.CloseAbandonedAsync(Now, abandonedBefore: Now.AddSeconds(-30), CancellationToken.None);

        Assert.Equal(lives ? SandboxStatus.Ready : SandboxStatus.Failed, await StateAsync(id));
        Assert.Equal(lives ? SandboxStatus.Creating : SandboxStatus.Failed, await StateAsync(untaken.Id));
        // Who places new sandboxes is stricter by that instant.
        Assert.Equal(leftMs > 0, (await workers.ListLiveAsync(Now, CancellationToken.None)).ContainsKey(worker));
    }

    [Fact]
    public async Task CloseAbandonedAsync_OfOneWorker_KillsNoOthersCommands()
    {
        var tenant = await _fixture.AddTenantAsync();
        var workers = new WorkerStore(_fixture.Database);
        await workers.RenewLeaseAsync("wrk_gone", "http://a", "runc", Now.AddMinutes(-1), TimeSpan.FromSeconds(15), CancellationToken.None);
        await workers.RenewLeaseAsync("wrk_there", "http://b", "runc", Now, TimeSpan.FromSeconds(15), CancellationToken.None);
        var commands = new Dictionary<string, NewCommand>();
        foreach (var worker in new[] { "wrk_gone", "wrk_there" })
        {
            commands[worker] = StoreFixture.NewCommand(await _fixture.AddReadyAsync(tenant, worker, Now), Now);
            await _fixture.Commands.InsertAsync(tenant.Ownership, commands[worker], null, CancellationToken.None);
        }

        var closed = await Store.CloseAbandonedAsync(Now, Now.AddMinutes(-1), CancellationToken.None);

        Assert.Contains(commands["wrk_gone"].Id, closed.CommandIds);
        Assert.DoesNotContain(commands["wrk_there"].Id, closed.CommandIds);
        Assert.DoesNotContain(commands["wrk_there"].SandboxId, closed.SandboxIds);
        Assert.Equal(CommandStatus.Queued, (await _fixture.Commands.FindAsync(commands["wrk_there"].Id, CancellationToken.None))!.State);
    }

    private async Task<string> StateAsync(string id) => (await Store.FindAsync(id, CancellationToken.None))!.State;
}
