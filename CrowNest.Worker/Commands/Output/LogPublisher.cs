using CrowNest.Platform.Commands.Logs;
using StackExchange.Redis;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// Brings a command's records from its spool to Redis, in order, and goes on by itself when Redis was away or came back empty. Redis keeps
/// what the spool keeps. While a flood has no follower it publishes at leisure: most of that would be trimmed before anyone reads it.
/// </summary>
internal sealed partial class LogPublisher : IAsyncDisposable
{
    private const int BatchBytes = 512 * 1024;

    /// <summary>How far a flood may run ahead of its followers' stream before the process has to wait.</summary>
    private const long WindowBytes = 4 * 1024 * 1024;
    private const int MaxBackoffMs = 2000;
    private static readonly TimeSpan UnfollowedPause = TimeSpan.FromMilliseconds(50);

    private readonly string _commandId;
    private readonly CommandSpool _spool;
    private readonly CommandLogWriter _writer;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly SpoolReader _reader;
    private readonly AsyncSignal _work = new();
    private readonly AsyncSignal _restored = new();
    private readonly AsyncSignal _progress = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task? _running;
    private long _publishedSeq;
    private long _publishedBytes;
    private long _trimmedTo;
    private long _followers;
    private volatile bool _isVerified;
    private volatile bool _isComplete;

    /// <param name="isNew">Nobody published anything of this command before: what Redis has need not be looked at.</param>
    public LogPublisher(
        string commandId, CommandSpool spool, CommandLogWriter writer, TimeProvider clock, ILogger logger, bool isNew)
    {
        _commandId = commandId;
        _spool = spool;
        _writer = writer;
        _clock = clock;
        _logger = logger;
        _reader = new SpoolReader(spool);
        _isVerified = isNew;
    }

    /// <summary>Whether Redis has everything: what is appended next goes out at once.</summary>
    public bool IsIdle => _isVerified && Volatile.Read(ref _publishedSeq) >= _spool.LastSeq;

    /// <summary>Completes with the next progress; take it before looking at <see cref="IsIdle"/>.</summary>
    public Task Progress => _progress.Next;

    /// <summary>Records were appended. Called by the pump alone; the first call starts the publisher.</summary>
    public void Notify()
    {
        if (_running is null)
        {
            _writer.Restored += OnRestored;
            _running = Task.Run(RunAsync);
        }

        _work.Set();
    }

    /// <summary>Waits while followers would lose records to the flood behind them.</summary>
    public async ValueTask WaitForRoomAsync(CancellationToken cancellationToken)
    {
        while (_isVerified && Volatile.Read(ref _followers) > 0 && _spool.AppendedBytes - Volatile.Read(ref _publishedBytes) > WindowBytes)
        {
            var progress = _progress.Next;
            if (_spool.AppendedBytes - Volatile.Read(ref _publishedBytes) > WindowBytes)
            {
                await progress.WaitAsync(cancellationToken);
            }
        }
    }

    /// <summary>Nothing more will be appended: completes when all of it is in Redis.</summary>
    public Task CompleteAsync()
    {
        _isComplete = true;
        Notify();
        return _drained.Task;
    }

    public async ValueTask DisposeAsync()
    {
        _writer.Restored -= OnRestored;
        await _stop.CancelAsync();
        await (_running ?? Task.CompletedTask);
        _drained.TrySetCanceled();
        _stop.Dispose();
    }

    private void OnRestored()
    {
        // It may have come back empty.
        _isVerified = false;
        _restored.Set();
        _work.Set();
    }

    private async Task RunAsync()
    {
        var backoff = 0;
        var records = new List<LogRecord>();
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                var work = _work.Next;
                var restored = _restored.Next;
                try
                {
                    if (!await PublishSomeAsync(records))
                    {
                        await work.WaitAsync(_stop.Token);
                    }

                    backoff = 0;
                }
                catch (Exception exception) when (exception is RedisException or TimeoutException)
                {
                    _isVerified = false;
                    if (backoff == 0)
                    {
                        LogRedisAway(_logger, exception, _commandId);
                    }

                    backoff = Math.Clamp(2 * backoff, 50, MaxBackoffMs);
                    // Waiters look again: they do not wait for a Redis that is away.
                    _progress.Set();
                    await Task.WhenAny(Task.Delay(TimeSpan.FromMilliseconds(backoff), _clock, _stop.Token), restored);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The command's log is done, or the worker stops.
        }
        catch (Exception exception)
        {
            // The spool is broken: what it holds cannot be published, the command itself goes on.
            LogSpoolBroken(_logger, exception, _commandId);
            _drained.TrySetException(exception);
        }
    }

    /// <returns>false when there is nothing to do.</returns>
    private async Task<bool> PublishSomeAsync(List<LogRecord> records)
    {
        if (!_isVerified)
        {
            // First, so that a restart of Redis meanwhile makes it look again.
            _isVerified = true;
            await VerifyAsync();
        }

        var appendedBytes = _spool.AppendedBytes;
        records.Clear();
        _reader.Read(records, _publishedSeq, BatchBytes);
        if (records.Count == 0)
        {
            Volatile.Write(ref _publishedBytes, appendedBytes);
            _progress.Set();
            if (_isComplete && _isVerified && _publishedSeq >= _spool.LastSeq)
            {
                _drained.TrySetResult();
            }

            return false;
        }

        var followers = await _writer.AppendAsync(_commandId, records);
        var bytes = records.Sum(r => (long)r.Payload.Length);
        Volatile.Write(ref _followers, followers);
        Volatile.Write(ref _publishedBytes, _publishedBytes + bytes);
        Volatile.Write(ref _publishedSeq, records[^1].Seq);
        await TrimAsync();
        _progress.Set();
        CommandMetrics.StreamLag.Record((_clock.GetUtcNow().ToUnixTimeMilliseconds() - records[0].CreatedAt) / 1000d);
        if (followers == 0 && bytes > BatchBytes / 2 && !_isComplete)
        {
            await Task.Delay(UnfollowedPause, _clock, _stop.Token);
        }

        return true;
    }

    private async Task TrimAsync()
    {
        var oldest = _spool.OldestSeq;
        if (oldest > Math.Max(_trimmedTo, 1))
        {
            await _writer.TrimAsync(_commandId, oldest);
            _trimmedTo = oldest;
        }
    }

    /// <summary>Finds out what Redis has; when it lacks records that the spool still has, all are published again.</summary>
    private async Task VerifyAsync()
    {
        var range = await _writer.ReadRangeAsync(_commandId);
        var oldest = _spool.OldestSeq;
        if (range.LatestSeq > 0 && (range.OldestSeq > oldest || range.LatestSeq > _spool.LastSeq))
        {
            // Ids only rise: older records cannot be added below newer ones.
            await _writer.DeleteAsync(_commandId);
            range = default;
        }

        _trimmedTo = range.OldestSeq;
        Volatile.Write(ref _publishedSeq, range.LatestSeq);
        _reader.Rewind();
    }

    [LoggerMessage(6101, LogLevel.Warning, "Output of {CommandId} cannot be published; it waits in the spool")]
    private static partial void LogRedisAway(ILogger logger, Exception exception, string commandId);

    [LoggerMessage(6102, LogLevel.Error, "The spool of {CommandId} cannot be read; its output is not published any further")]
    private static partial void LogSpoolBroken(ILogger logger, Exception exception, string commandId);
}
