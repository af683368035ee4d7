using CrowNest.Contracts;
using CrowNest.Platform.Storage;
using CrowNest.Worker.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace CrowNest.Worker.Tests;

public sealed class WorkerRetriesTests
{
    private readonly PassingTime _time = new();
    private readonly WorkerRetries _retries;

    public WorkerRetriesTests() => _retries = new WorkerRetries(_time, NullLogger<WorkerRetries>.Instance);

    [Theory]
    [InlineData("22021", false)] // invalid byte sequence
    [InlineData("23514", false)] // check violation
    [InlineData("42703", false)] // undefined column
    [InlineData("42501", false)] // insufficient privilege
    [InlineData("54000", false)] // program limit exceeded
    [InlineData("P0001", false)] // raise exception
    [InlineData("40001", true)] // serialization failure
    [InlineData("53300", true)] // too many connections
    [InlineData("57P01", true)] // admin shutdown
    [InlineData("28P01", true)] // invalid password: somebody changes it, and changes the other side
    [InlineData("25006", true)] // read only: a standby that takes over
    public void IsDatabaseAway_OfAnAnswer_GoesByItsClass(string state, bool isAway) =>
        Assert.Equal(isAway, WorkerRetries.IsDatabaseAway(new PostgresException("No.", "ERROR", "ERROR", state)));

    [Fact]
    public void IsDatabaseAway_WithoutAnAnswer_IsTrue()
    {
        Assert.True(WorkerRetries.IsDatabaseAway(new NpgsqlException("No connection.", new IOException())));
        Assert.True(WorkerRetries.IsDatabaseAway(new TimeoutException()));
        Assert.False(WorkerRetries.IsDatabaseAway(new InvalidOperationException()));
    }

    /// <summary>An outage of more than an hour, with pauses that grow and stay bounded.</summary>
    [Fact]
    public async Task Write_DatabaseAwayForLong_IsRepeatedAfterBoundedPauses()
    {
        var attempts = 0;

        var result = await _retries.WriteAsync(
            "Test", _ => ++attempts <= 3000 ? throw new TimeoutException() : Task.FromResult("written"), CancellationToken.None);

        Assert.Equal("written", result);
        Assert.Equal(3000, _time.Pauses.Count);
        Assert.InRange(_time.Pauses.Take(3).Max(), TimeSpan.Zero, TimeSpan.FromMilliseconds(300));
        Assert.InRange(_time.Pauses.Max(), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2));
        Assert.InRange(_time.Pauses.Skip(1500).Min(), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task Write_Refused_IsThrownAtOnce()
    {
        var attempts = 0;

        await Assert.ThrowsAsync<PostgresException>(() => _retries.WriteAsync<bool>(
            "Test",
            _ =>
            {
                attempts++;
                throw new PostgresException("No.", "ERROR", "ERROR", "23514");
            },
            CancellationToken.None));

        Assert.Equal(1, attempts);
    }

    [Fact]
    public async Task Store_PatienceIsOver_ThrowsTheLastFailure()
    {
        var told = 0;
        var began = _time.GetUtcNow();

        await Assert.ThrowsAsync<WorkerException>(() => _retries.StoreAsync<bool>(
            "Test", _ => throw WorkerException.Storage("Away."), CancellationToken.None, began + TimeSpan.FromSeconds(10), _ =>
            {
                told++;
                return Task.CompletedTask;
            }));

        Assert.InRange(_time.GetUtcNow() - began, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(15));
        Assert.Equal(_time.Pauses.Count, told);
    }

    [Fact]
    public async Task Store_DamagedOrAnotherFailure_IsThrownAtOnce()
    {
        await Assert.ThrowsAsync<ObjectStoreException>(() => _retries.StoreAsync<bool>(
            "Test", _ => throw new ObjectStoreException("Damaged.") { IsDamaged = true }, CancellationToken.None));
        await Assert.ThrowsAsync<WorkerException>(() => _retries.StoreAsync<bool>(
            "Test", _ => throw WorkerException.NotFound("No."), CancellationToken.None));

        Assert.Empty(_time.Pauses);
    }

    /// <summary>That a run is another's by now, for example.</summary>
    [Fact]
    public async Task Store_TellingFails_EndsWithThatFailure()
    {
        var attempts = 0;

        await Assert.ThrowsAsync<InvalidOperationException>(() => _retries.StoreAsync<bool>(
            "Test",
            _ =>
            {
                attempts++;
                throw new ObjectStoreException("Away.");
            },
            CancellationToken.None, tell: _ => throw new InvalidOperationException("Moved.")));

        Assert.Equal(1, attempts);
    }

    [Fact]
    public async Task Any_Canceled_EndsWithTheCancellation()
    {
        using var stopping = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _retries.WaitForAsync(
            "Test",
            async _ =>
            {
                await stopping.CancelAsync();
                throw new InvalidOperationException(ErrorCodes.InternalError);
            },
            stopping.Token));
    }

    /// <summary>Every pause is over at once, and noted; the clock goes on by it.</summary>
    private sealed class PassingTime : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UnixEpoch;

        public List<TimeSpan> Pauses { get; } = [];

        public override DateTimeOffset GetUtcNow() => _now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Pauses.Add(dueTime);
            _now += dueTime;
            return new Timer(callback, state, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }
}
