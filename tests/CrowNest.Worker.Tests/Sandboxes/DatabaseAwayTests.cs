using System.Net;
using CrowNest.Contracts;
using CrowNest.Testing;
using Npgsql;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

[Trait("Needs", "engine")]
public sealed class DatabaseAwayTests(BackingServices backing)
{
    /// <summary>The database is away for as long as it takes that a deadline passes, a container is lost and a request fails.</summary>
    [Fact]
    public async Task Database_AwayForAWhile_NothingIsStuckAfterwards()
    {
        await using var node = await TestNode.StartAsync(backing, relayed: true, ("WarmPoolSize:base", "1"), ("LeaseSeconds", "3"));
        var (kept, _) = await node.CreateAsync();
        var (due, dueStarted) = await node.CreateAsync(ttlMs: 4000);
        var (lost, lostStarted) = await node.CreateAsync();
        var request = await node.AddRowAsync();

        node.Relay!.Cut();
        await node.Engine.RemoveContainerAsync(lostStarted.ContainerId, CancellationToken.None);
        using var refused = await node.PostAsync(request);
        await Eventually.HoldsAsync(
            async () => (await node.RowAsync(due)).ExpiresAt.AddSeconds(6) < DateTimeOffset.UtcNow, "the deadline has passed",
            TimeSpan.FromSeconds(20));
        node.Relay.Restore();

        Assert.False(refused.IsSuccessStatusCode);
        var ended = await node.RowBecomesAsync(due, SandboxStatus.Destroyed, TimeSpan.FromSeconds(15));
        Assert.Equal(DestroyedReason.TtlExpired, ended.DestroyedReason);
        await node.RowBecomesAsync(lost, SandboxStatus.Failed, TimeSpan.FromSeconds(15));
        await TestNode.ContainerGoesAsync(dueStarted.ContainerId);
        Assert.Equal((0, "fine\n"), await node.ExecAsync(kept, "echo fine"));
        using var again = await node.PostAsync(request);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        await Eventually.HoldsAsync(() => LeaseHoldsAsync(node.Database), "the lease is renewed");
        await Eventually.HoldsAsync(
            async () => (await node.Engine.ListContainersAsync(node.Node.State.ContainerLabel, CancellationToken.None)).Count == 3,
            "two sandboxes and a warm one are left", TimeSpan.FromSeconds(20));
    }

    private static async Task<bool> LeaseHoldsAsync(NpgsqlDataSource database)
    {
        await using var sql = database.CreateCommand("SELECT lease_expires_at > now() FROM workers");
        return (bool)(await sql.ExecuteScalarAsync())!;
    }
}
