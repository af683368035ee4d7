using System.Collections.Concurrent;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Worker.Commands;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Sandboxes;
using Microsoft.Extensions.Options;
using Npgsql;
using StackExchange.Redis;

namespace CrowNest.Worker.WorkspaceRuns.Claiming;

/// <summary>
/// Claims runs as long as the node has room: from the job stream at once, from the database every few seconds. What does not fit is left to
/// others for a while; runs of this worker's former process are taken on whatever the room.
/// </summary>
internal sealed partial class RunIntake : BackgroundService
{
    /// <summary>A job that its worker has not acknowledged by then was lost with it; acknowledging takes milliseconds.</summary>
    private static readonly TimeSpan ReclaimAfter = TimeSpan.FromSeconds(30);

    /// <summary>How long a full node leaves a run to others; below the time after which the API gives it up.</summary>
    private static readonly TimeSpan WaitUnclaimed = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, (ClaimedRun Run, Task Carrying)> _carried = new();
    private readonly AsyncSignal _ended = new();
    private readonly CancellationTokenSource _stopping;
    private readonly Node _node;
    private readonly WorkspaceRunStore _store;
    private readonly RunJobs _jobs;
    private readonly RunWakeUps _wakeUps;
    private readonly RunOrchestration _orchestration;
    private readonly NodeCapacity _capacity;
    private readonly RunOptions _options;
    private readonly TimeSpan _lease;
    private readonly TimeProvider _clock;
    private readonly ILogger<RunIntake> _logger;
    private DateTimeOffset? _answersSince;
    private bool _redisFailed;
    private bool _databaseFailed;
    private int _isDisposed;

    public RunIntake(
        Node node, WorkspaceRunStore store, RunJobs jobs, RunWakeUps wakeUps, RunOrchestration orchestration, NodeCapacity capacity,
        IOptions<WorkerOptions> options, IHostApplicationLifetime lifetime, TimeProvider clock, ILogger<RunIntake> logger)
    {
        _node = node;
        _store = store;
        _jobs = jobs;
        _wakeUps = wakeUps;
        _orchestration = orchestration;
        _capacity = capacity;
        _options = options.Value.Runs;
        _lease = TimeSpan.FromSeconds(options.Value.LeaseSeconds);
        _clock = clock;
        _logger = logger;
        _stopping = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
    }

    /// <summary>Runs in work.</summary>
    public int Count => _carried.Count;

    /// <summary>Runs go on in their sandboxes; the next process takes them on where their rows stand.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await base.StopAsync(cancellationToken);
        while (!_carried.IsEmpty)
        {
            await Task.WhenAll(_carried.Values.Select(c => c.Carrying)).WaitAsync(cancellationToken);
            await Task.Yield();
        }
    }

    public override void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _stopping.Cancel();
            _stopping.Dispose();
        }

        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var stopping = _stopping.Token;
        try
        {
            await using var subscription = await _jobs.SubscribeAsync(stopping);
            long? listedAt = null;
            while (!stopping.IsCancellationRequested)
            {
                var woken = subscription.Next;
                var ended = _ended.Next;
                if (listedAt is null || _clock.GetElapsedTime(listedAt.Value) >= _options.ClaimInterval)
                {
                    await TakeFromDatabaseAsync(stopping);
                    listedAt = _clock.GetTimestamp();
                }

                await TakeJobsAsync(stopping);
                await subscription.WaitAsync(Task.WhenAny(woken, ended), _options.ClaimInterval, _clock, stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The worker stops.
        }
    }

    private int Room()
    {
        var wanting = _carried.Values.Count(c => c.Run.WantsRoom);
        return Math.Min(_capacity.Limit - _capacity.Running - wanting, _options.MaxCarried - _carried.Count);
    }

    private async Task TakeJobsAsync(CancellationToken stopping)
    {
        try
        {
            while (_carried.Count < _options.MaxCarried)
            {
                var room = Room();
                var jobs = await _jobs.ReadAsync(_node.Id, Math.Max(room, 1), ownOnly: room <= 0);
                if (jobs.Count == 0 && room > 0)
                {
                    jobs = await _jobs.ReclaimAsync(_node.Id, ReclaimAfter, room);
                }

                if (jobs.Count == 0)
                {
                    break;
                }

                foreach (var job in jobs)
                {
                    // Whatever the answer, it was the database's: who else has the run, or that it waits for another.
                    await TryClaimAsync(job.RunId, LapsedBefore(), "job", stopping);
                    await _jobs.AcknowledgeAsync(job);
                }
            }

            _redisFailed = false;
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            if (!_redisFailed)
            {
                LogRedisAway(exception);
            }

            _redisFailed = true;
        }
        catch (NpgsqlException exception)
        {
            DatabaseAway(exception);
        }
    }

    private async Task TakeFromDatabaseAsync(CancellationToken stopping)
    {
        try
        {
            var lapsedBefore = LapsedBefore();
            var ids = await _store.ListClaimableAsync(_node.Id, lapsedBefore, _carried.Count + _options.MaxCarried, stopping);
            foreach (var id in ids.Where(id => !_carried.ContainsKey(id)))
            {
                await TryClaimAsync(id, lapsedBefore, "database", stopping);
            }

            _answersSince ??= _clock.GetUtcNow();
            _databaseFailed = false;
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            DatabaseAway(exception);
        }
    }

    /// <summary>After an outage every lease has lapsed: the others are given the time to renew before their runs count as left.</summary>
    private DateTimeOffset LapsedBefore() =>
        _clock.GetUtcNow() is var now && now - _answersSince >= _lease ? now : DateTimeOffset.UnixEpoch;

    private void DatabaseAway(Exception exception)
    {
        _answersSince = null;
        if (!_databaseFailed)
        {
            LogDatabaseAway(exception);
        }

        _databaseFailed = true;
    }

    private async Task TryClaimAsync(string runId, DateTimeOffset lapsedBefore, string from, CancellationToken stopping)
    {
        if (_carried.ContainsKey(runId) || await _store.FindAsync(runId, stopping) is not { ClosedAt: null } found)
        {
            return;
        }

        // One that nobody had room for waits here, says so, and does so for a bounded time.
        var hasWaited = _clock.GetUtcNow() - found.StartedAt > WaitUnclaimed && _carried.Count < _options.MaxCarried;
        var isOurs = found.ClaimedBy == _node.Id;
        var needsRoom = found is { WarmSandboxId: null, Status: WorkspaceRunStatus.Starting or WorkspaceRunStatus.Extracting };
        if (!isOurs && ((needsRoom && Room() <= 0 && !hasWaited) || !await _orchestration.CanCarryAsync(found, stopping)))
        {
            return;
        }

        if (await _store.ClaimAsync(runId, _node.Id, lapsedBefore, stopping) is not { } claimed)
        {
            return;
        }

        LogClaimed(runId, claimed.Status, from);
        RunMetrics.Claimed.Add(1, new KeyValuePair<string, object?>("from", from));
        var run = new ClaimedRun(claimed, _node.Id, _store, _wakeUps, _clock);
        var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _carried[runId] = (run, CarryAsync(run, begin.Task, stopping));
        begin.SetResult();
    }

    private async Task CarryAsync(ClaimedRun run, Task begin, CancellationToken stopping)
    {
        await begin;
        try
        {
            await _orchestration.CarryAsync(run, stopping);
        }
        catch (Exception exception) when (!stopping.IsCancellationRequested)
        {
            LogDropped(exception, run.Id);
        }
        catch (Exception exception)
        {
            // What is taken apart under its feet while the process ends; the next one finds the row.
            LogLeft(exception, run.Id);
        }
        finally
        {
            _carried.TryRemove(run.Id, out _);
            run.Dispose();
            _ended.Set();
        }
    }

    [LoggerMessage(6400, LogLevel.Information, "Run {RunId} is taken on, {Status}, from the {From}")]
    private partial void LogClaimed(string runId, string status, string from);

    [LoggerMessage(6401, LogLevel.Warning, "Jobs cannot be read; runs are looked for in the database")]
    private partial void LogRedisAway(Exception exception);

    [LoggerMessage(6402, LogLevel.Warning, "The database cannot be asked for runs; it is tried again")]
    private partial void LogDatabaseAway(Exception exception);

    [LoggerMessage(6403, LogLevel.Error, "Run {RunId} was dropped, and is taken on again")]
    private partial void LogDropped(Exception exception, string runId);

    [LoggerMessage(6404, LogLevel.Debug, "Run {RunId} is left to the next process")]
    private partial void LogLeft(Exception exception, string runId);
}
