using CrowNest.Platform.Redis;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Testing;
using StackExchange.Redis;
using Xunit;

namespace CrowNest.Platform.Tests.Streams;

/// <summary>Jobs and wake-ups of runs over a real Redis.</summary>
public sealed class RunJobTests(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);
    private readonly RedisConnection _connection = RedisConnections.Open(redis.ConnectionString);

    [Fact]
    public async Task ReadAsync_ByManyWorkers_GivesEveryJobToOne()
    {
        using var jobs = new RunJobs(_connection);
        for (var i = 0; i < 30; i++)
        {
            await jobs.EnqueueAsync($"wsr_{i}", null);
        }

        var given = await Task.WhenAll(Enumerable.Range(0, 3).Select(w => ReadAllAsync(jobs, $"wrk_{w}")));

        Assert.Equal(Enumerable.Range(0, 30).Select(i => $"wsr_{i}").Order(), given.SelectMany(g => g).Select(j => j.RunId).Order());
        foreach (var job in given.SelectMany(g => g))
        {
            await jobs.AcknowledgeAsync(job);
        }

        Assert.Empty(await jobs.ReclaimAsync("wrk_0", TimeSpan.Zero, 100));
    }

    [Fact]
    public async Task ReadAsync_JobForOneWorker_IsGivenToNoOther()
    {
        using var jobs = new RunJobs(_connection);
        await jobs.EnqueueAsync("wsr_any", null);
        await jobs.EnqueueAsync("wsr_warm", "wrk_home");

        var stranger = await jobs.ReadAsync("wrk_stranger", 10);
        var home = await jobs.ReadAsync("wrk_home", 10);

        Assert.Equal(["wsr_any"], stranger.Select(j => j.RunId));
        Assert.Equal(["wsr_warm"], home.Select(j => j.RunId));
        await jobs.AcknowledgeAsync(stranger[0]);
        await jobs.AcknowledgeAsync(home[0]);
    }

    [Fact]
    public async Task ReadAsync_NoMoreThanAskedFor_LeavesTheRest()
    {
        using var jobs = new RunJobs(_connection);
        await jobs.EnqueueAsync("wsr_mine", "wrk_small");
        await jobs.EnqueueAsync("wsr_first", null);
        await jobs.EnqueueAsync("wsr_second", null);

        Assert.Equal(["wsr_mine", "wsr_first"], (await jobs.ReadAsync("wrk_small", 2)).Select(j => j.RunId));
        Assert.Equal(["wsr_second"], (await jobs.ReadAsync("wrk_other", 2)).Select(j => j.RunId));
        foreach (var job in await jobs.ReclaimAsync("wrk_small", TimeSpan.Zero, 10))
        {
            await jobs.AcknowledgeAsync(job);
        }
    }

    [Fact]
    public async Task ReclaimAsync_GiverDied_GivesTheJobToAnother()
    {
        using var jobs = new RunJobs(_connection);
        await jobs.EnqueueAsync("wsr_left", null);
        Assert.Single(await jobs.ReadAsync("wrk_dead", 10));

        Assert.Empty(await jobs.ReclaimAsync("wrk_heir", TimeSpan.FromMinutes(1), 10));
        var job = Assert.Single(await jobs.ReclaimAsync("wrk_heir", TimeSpan.Zero, 10));

        Assert.Equal("wsr_left", job.RunId);
        await jobs.AcknowledgeAsync(job);
        Assert.Empty(await jobs.ReclaimAsync("wrk_dead", TimeSpan.Zero, 10));
    }

    [Fact]
    public async Task EnqueueAsync_SomeoneWaits_IsWoken()
    {
        using var jobs = new RunJobs(_connection);
        await using var subscription = await jobs.SubscribeAsync(CancellationToken.None);
        var next = subscription.Next;

        await jobs.EnqueueAsync("wsr_wake", null);

        Assert.True(await subscription.WaitAsync(next, Soon, TimeProvider.System, CancellationToken.None));
        await jobs.AcknowledgeAsync(Assert.Single(await jobs.ReadAsync("wrk_woken", 10)));
    }

    [Fact]
    public async Task PublishAsync_Followers_HearOfTheirRunOnly()
    {
        using var wakeUps = new RunWakeUps(_connection);
        await using (var one = await wakeUps.SubscribeAsync("wsr_1", CancellationToken.None))
        await using (var other = await wakeUps.SubscribeAsync("wsr_2", CancellationToken.None))
        {
            var (first, second) = (one.Next, other.Next);

            await wakeUps.PublishAsync("wsr_1");

            Assert.True(await one.WaitAsync(first, Soon, TimeProvider.System, CancellationToken.None));
            Assert.False(await other.WaitAsync(second, TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None));
            Assert.Equal(2, wakeUps.Count);
        }

        Assert.Equal(0, wakeUps.Count);
    }

    [Fact]
    public async Task Redis_AwayAndBackEmpty_JobsAndWakeUpsGoOn()
    {
        using var jobs = new RunJobs(_connection);
        using var wakeUps = new RunWakeUps(_connection);
        Assert.Empty(await jobs.ReadAsync("wrk_patient", 10));
        await using var early = await wakeUps.SubscribeAsync("wsr_early", CancellationToken.None);
        redis.Stop();
        await Assert.ThrowsAnyAsync<Exception>(() => jobs.EnqueueAsync("wsr_lost", null));
        await wakeUps.PublishAsync("wsr_early");
        await using var late = await wakeUps.SubscribeAsync("wsr_late", CancellationToken.None);

        await redis.StartAsync();

        await Eventually.HoldsAsync(() => EnqueuedAsync(jobs, "wsr_kept"), "a job is taken", TimeSpan.FromSeconds(30));
        var given = await jobs.ReadAsync("wrk_patient", 10);
        Assert.Equal("wsr_kept", Assert.Single(given.DistinctBy(j => j.RunId)).RunId);
        foreach (var job in given)
        {
            // Else it is one of the jobs that another test finds.
            await jobs.AcknowledgeAsync(job);
        }

        await Eventually.HoldsAsync(() => WakesAsync(wakeUps, early, "wsr_early"), "one who followed before", TimeSpan.FromSeconds(30));
        await Eventually.HoldsAsync(() => WakesAsync(wakeUps, late, "wsr_late"), "one who came meanwhile", TimeSpan.FromSeconds(30));
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync() => await _connection.DisposeAsync();

    private static async Task<bool> EnqueuedAsync(RunJobs jobs, string runId)
    {
        try
        {
            await jobs.EnqueueAsync(runId, null);
            return true;
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            return false;
        }
    }

    private static async Task<bool> WakesAsync(RunWakeUps wakeUps, WakeUpSubscription subscription, string runId)
    {
        var next = subscription.Next;
        await wakeUps.PublishAsync(runId);
        return await subscription.WaitAsync(next, TimeSpan.FromMilliseconds(200), TimeProvider.System, CancellationToken.None);
    }

    private static async Task<List<RunJob>> ReadAllAsync(RunJobs jobs, string workerId)
    {
        var all = new List<RunJob>();
        while (await jobs.ReadAsync(workerId, 4) is { Count: > 0 } some)
        {
            all.AddRange(some);
        }

        return all;
    }
}
