using CrowNest.Platform.Nodes;
using CrowNest.Testing;
using Npgsql;
using Xunit;

namespace CrowNest.Worker.Tests.Fleet;

/// <summary>When a node is heard of, and not only that it is.</summary>
[Trait("Needs", "engine")]
public sealed class HeartbeatTests(BackingServices backing)
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(3);

    [Fact]
    public async Task Lease_OfALivingNode_WouldOutliveALostRenewal()
    {
        const int Renewals = 6;
        await using var node = await TestNode.StartAsync(backing, ("LeaseSeconds", $"{Lease.TotalSeconds}"));
        await ExecuteAsync(node.Database, """
            CREATE TABLE renewals (number bigint GENERATED ALWAYS AS IDENTITY, expires_at timestamptz);
            CREATE FUNCTION note_renewal() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN INSERT INTO renewals (expires_at) VALUES (NEW.lease_expires_at); RETURN NEW; END';
            CREATE TRIGGER note_renewal AFTER UPDATE ON workers FOR EACH ROW EXECUTE FUNCTION note_renewal();
            """);

        var expiries = await Eventually.GivesAsync(
            () => RenewalsAsync(node.Database), r => r.Count >= Renewals, "the lease is renewed again and again", TimeSpan.FromSeconds(20));

        // Each begins when it is renewed, so what lies between two ends lies between two renewals; on average, because ticks may be late.
        var interval = (expiries[^1] - expiries[0]) / (expiries.Count - 1);
        Assert.True(interval <= Lease / 2, $"A lease of {Lease} is renewed every {interval}.");
        Assert.InRange(expiries[^1], DateTimeOffset.UtcNow, DateTimeOffset.UtcNow + Lease);
    }

    [Fact]
    public async Task Snapshot_OfALivingNode_IsThereAndFresh()
    {
        await using var node = await TestNode.StartAsync(backing, ("LeaseSeconds", $"{Lease.TotalSeconds}"));
        var registry = node.Get<WorkerRegistry>();
        foreach (var running in new[] { 0, 1, 2 })
        {
            // A new one each time: what was said once would be gone, or out of date.
            await Eventually.HoldsAsync(
                async () => (await registry.ReadAsync([node.Node.Id])) is [var told] && told.Running == running, $"the node tells of {running} sandboxes",
                Lease);
            await node.CreateAsync();
        }
    }

    private static async Task ExecuteAsync(NpgsqlDataSource database, string statements)
    {
        await using var sql = database.CreateCommand(statements);
        await sql.ExecuteNonQueryAsync();
    }

    private static async Task<List<DateTimeOffset>> RenewalsAsync(NpgsqlDataSource database)
    {
        await using var sql = database.CreateCommand("SELECT expires_at FROM renewals ORDER BY number");
        await using var reader = await sql.ExecuteReaderAsync();
        var expiries = new List<DateTimeOffset>();
        while (await reader.ReadAsync())
        {
            expiries.Add(reader.GetFieldValue<DateTimeOffset>(0));
        }

        return expiries;
    }
}
