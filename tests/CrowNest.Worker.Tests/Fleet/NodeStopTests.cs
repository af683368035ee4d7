using System.Diagnostics;
using CrowNest.Contracts;
using CrowNest.Worker.Tests.Commands;
using Xunit;

namespace CrowNest.Worker.Tests.Fleet;

[Trait("Needs", "engine")]
public sealed class NodeStopTests(BackingServices backing)
{
    /// <summary>The promise is three seconds; the rest is for a machine that does something else as well.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(5);

    /// <summary>As when a whole stack is told to stop: database and Redis may be gone first.</summary>
    [Theory(DisableParallelization = true)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stop_DatabaseAndRedisGone_IsPromptAndLeavesTheCommandRunning(bool silent)
    {
        await using var node = await TestNode.StartAsync(backing, relayed: true, ("WarmPoolSize:base", "1"));
        await node.PoolHoldsAsync(1);
        var (sandbox, _) = await node.CreateAsync();
        await node.RunAsync(sandbox, "true");
        var command = await node.BeginAsync(sandbox, "echo begun; sleep 600");

        foreach (var relay in new[] { node.Relay!, node.RedisRelay! })
        {
            if (silent)
            {
                relay.Silence();
            }
            else
            {
                relay.Cut();
            }
        }

        var began = Stopwatch.GetTimestamp();
        await node.StopAsync();

        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, Bound);
        Assert.Equal(CommandStatus.Running, (await node.CommandRowAsync(command.Id)).State);
        if (!silent)
        {
            node.Relay!.Restore();
            node.RedisRelay!.Restore();
            await node.StartAsync();
            Assert.Equal((0, "fine\n"), await node.ExecAsync(sandbox, "echo fine"));
        }
    }
}
