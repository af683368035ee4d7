using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>Bad days: parts of the stack die in the middle of work (docs/architecture.md, "What fails").</summary>
[Collection(StackFixture.Collection)]
public sealed class FaultTests(StackFixture stack)
{
    private const int Lines = 400;

    /// <summary>About eight seconds of numbered lines, so that a fault meets it in the middle.</summary>
    private static readonly string Counting = $"for i in $(seq 1 {Lines}); do echo $i; sleep 0.02; done";

    private static readonly string Counted = string.Concat(Enumerable.Range(1, Lines).Select(i => $"{i}\n"));

    [Fact]
    public async Task Worker_KilledMidStream_CommandGoesOnAndFollowerMissesNothing()
    {
        var sandbox = await stack.CreateAsync();
        var (command, following) = await FollowCountingAsync(sandbox.Id);
        var blocking = stack.RunAsync(sandbox.Id, "sleep 6; echo done");

        await stack.App.KillResourceAsync("worker");
        await stack.HealthyAsync("worker");

        var output = await following;
        Assert.Equal(Counted, output.Stdout);
        Assert.Equal((CommandStatus.Exited, 0), (output.Final.Status, output.Final.ExitCode));
        Assert.Equal(Counted, output.Final.Stdout);
        Assert.Equal("done\n", (await blocking).Stdout);
        Assert.Equal("still here\n", (await stack.RunAsync(sandbox.Id, "echo still here")).Stdout);
        Assert.Equal(Counted, (await Output.FollowAsync(stack.Client, command.Id)).Stdout);
    }

    [Fact]
    public async Task Worker_DownWhileTheDeadlinePasses_DestroysAtOnceWhenBack()
    {
        var sandbox = await stack.CreateAsync(new CreateSandboxRequest { Template = "base", TtlMs = 2000 });
        await stack.App.StopResourceAsync("worker");
        await Eventually.HoldsAsync(() => DateTimeOffset.UtcNow > sandbox.ExpiresAt, "the deadline has passed");

        await stack.App.StartResourceAsync("worker");
        await stack.HealthyAsync("worker");

        var gone = await Eventually.GivesAsync(
            () => stack.Client.Sandboxes.GetAsync(sandbox.Id), s => s.Status == SandboxStatus.Destroyed, "destroyed", TimeSpan.FromSeconds(3));
        Assert.Equal(DestroyedReason.TtlExpired, gone.DestroyedReason);
    }

    [Fact]
    public async Task Worker_FrozenBeyondItsLease_LosesItsSandboxesAndReapsThemWhenBack()
    {
        const int stop = 19, go = 18;
        var sandbox = await stack.CreateAsync();
        var command = await stack.StartCommandAsync(sandbox.Id, "sleep 1000");
        var container = await stack.ContainerOfAsync(sandbox.Id);
        await stack.App.SignalResourceAsync("worker", stop);
        try
        {
            var final = (await Output.FollowAsync(stack.Client, command.Id)).Final;

            Assert.Equal((CommandStatus.Killed, KilledReason.SandboxDestroyed), (final.Status, final.KilledReason));
            Assert.Equal(SandboxStatus.Failed, (await stack.Client.Sandboxes.GetAsync(sandbox.Id)).Status);
            var refused = await Assert.ThrowsAsync<CrowNestApiException>(() => stack.CreateAsync());
            Assert.Equal(ErrorCodes.RuntimeError, refused.Code);
        }
        finally
        {
            await stack.App.SignalResourceAsync("worker", go);
        }

        await stack.HealthyAsync("worker");
        await Eventually.HoldsAsync(async () => !await Docker.ExistsAsync(container), "the lost container is reaped", StackFixture.Patience);
        Assert.Equal(0, (await stack.RunAsync((await stack.CreateAsync()).Id, "true")).ExitCode);
    }

    [Fact]
    public async Task Api_KilledMidStream_ChangesNothingForTheCommand()
    {
        var sandbox = await stack.CreateAsync();
        var (_, following) = await FollowCountingAsync(sandbox.Id);

        await stack.App.KillResourceAsync("api");

        var output = await following;
        Assert.Equal(Counted, output.Stdout);
        Assert.Equal(CommandStatus.Exited, output.Final.Status);
    }

    [Fact]
    public async Task Redis_RestartedEmpty_LosesNoOutput()
    {
        var sandbox = await stack.CreateAsync();
        var finished = await stack.RunAsync(sandbox.Id, "echo kept");
        var (command, following) = await FollowCountingAsync(sandbox.Id);

        await stack.App.KillResourceAsync("redis");
        var meanwhile = await stack.RunAsync(sandbox.Id, "echo without redis");
        await stack.HealthyAsync("redis");

        Assert.Equal((0, "without redis\n"), (meanwhile.ExitCode, meanwhile.Stdout));
        Assert.Equal(Counted, (await following).Stdout);
        foreach (var (id, text) in new[] { (finished.Id, "kept\n"), (meanwhile.Id, "without redis\n"), (command.Id, Counted) })
        {
            Assert.Equal(text, (await Output.FollowAsync(stack.Client, id)).Stdout);
        }
    }

    [Fact]
    public async Task Postgres_AwayForTenSeconds_LeavesNoStuckState()
    {
        var sandbox = await stack.CreateAsync();
        var running = await stack.StartCommandAsync(sandbox.Id, "sleep 4; echo over");
        var doomed = await stack.CreateAsync(new CreateSandboxRequest { Template = "base", TtlMs = 6000 });
        await stack.App.StopResourceAsync("postgres");

        var failed = await Assert.ThrowsAsync<CrowNestApiException>(() => stack.CreateAsync());
        Assert.Equal(ErrorCodes.InternalError, failed.Code);
        using (var timer = new PeriodicTimer(TimeSpan.FromSeconds(10)))
        {
            // The outage itself: its length is what is being tested.
            await timer.WaitForNextTickAsync();
        }

        await stack.App.StartResourceAsync("postgres");
        await stack.AnswersAgainAsync();

        Assert.Equal("over\n", (await Output.FollowAsync(stack.Client, running.Id)).Stdout);
        await Eventually.GivesAsync(
            () => stack.Client.Sandboxes.GetAsync(doomed.Id), s => s.Status == SandboxStatus.Destroyed, "the expired one is gone", StackFixture.Patience);
        Assert.Equal(0, (await stack.RunAsync(sandbox.Id, "true")).ExitCode);
        Assert.Equal(0, (await stack.RunAsync((await stack.CreateAsync()).Id, "true")).ExitCode);
        Assert.DoesNotContain(
            (await stack.Client.Sandboxes.ListAsync(new() { Limit = 500 })).Data,
            s => s.Status is SandboxStatus.Creating or SandboxStatus.Starting or SandboxStatus.Expiring);
    }

    [Fact]
    public async Task Sandbox_ContainerRemovedBehindOurBack_FailsAndKillsItsCommands()
    {
        var sandbox = await stack.CreateAsync();
        var command = await stack.StartCommandAsync(sandbox.Id, "sleep 1000");

        await Docker.RemoveAsync(await stack.ContainerOfAsync(sandbox.Id));

        Assert.Equal(CommandStatus.Killed, (await Output.FollowAsync(stack.Client, command.Id)).Final.Status);
        Assert.Equal(SandboxStatus.Failed, (await stack.Client.Sandboxes.GetAsync(sandbox.Id)).Status);
    }

    /// <summary>Starts the counting command and a follower, and returns when the follower has seen the first lines.</summary>
    private async Task<(Command Command, Task<Output> Following)> FollowCountingAsync(string sandboxId)
    {
        var command = await stack.StartCommandAsync(sandboxId, Counting);
        var midway = new TaskCompletionSource();
        var following = Output.FollowAsync(
            stack.Client,
            command.Id,
            seq =>
            {
                if (seq > 20)
                {
                    midway.TrySetResult();
                }
            },
            stack.AnswersAgainAsync);
        await Task.WhenAny(midway.Task, following).WaitAsync(StackFixture.Patience);
        return (command, following);
    }
}
