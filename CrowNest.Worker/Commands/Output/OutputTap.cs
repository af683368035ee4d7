using CrowNest.Platform.Commands.Logs;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// Lets one follower in this process read all of a command's output from its spool, without Redis. While it reads, the spool stays, and a
/// flood waits for it: but for a bounded time only, so that no command ever hangs because its follower does.
/// </summary>
internal sealed class OutputTap(OutputTaps owner, string commandId, TimeProvider clock)
{
    /// <summary>How far a flood may run ahead; below what the spool retains.</summary>
    private const long WindowBytes = 6 * 1024 * 1024;

    /// <summary>How long a flood waits for a follower that takes nothing.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly AsyncSignal _changed = new();
    private readonly AsyncSignal _progress = new();
    private CommandSpool? _spool;
    private SpoolReader? _reader;
    private long _takenBytes;
    private volatile bool _hasGivenUp;
    private volatile bool _isComplete;
    private volatile bool _isFollowed;

    public string CommandId => commandId;

    /// <summary>Completes with the next change: there is output, or all of it, or a spool. Take it before looking.</summary>
    public Task Changed => _changed.Next;

    /// <summary>The command is final, and all of its output is in the spool.</summary>
    public bool IsComplete => _isComplete;

    /// <summary>Whether someone follows; kept by <see cref="OutputTaps"/>.</summary>
    public bool IsFollowed
    {
        get => _isFollowed;
        set => _isFollowed = value;
    }

    /// <summary>Whether there is a spool to read.</summary>
    public bool IsBound => _spool is not null;

    /// <summary>Reads the next records; false when there is no spool in this process, or not yet.</summary>
    public bool TryRead(List<LogRecord> records, long afterSeq, int maxBytes)
    {
        lock (_lock)
        {
            if (_spool is null)
            {
                return false;
            }

            var appended = _spool.AppendedBytes;
            _reader!.Read(records, afterSeq, maxBytes);
            if (records.Count > 0)
            {
                return true;
            }

            Volatile.Write(ref _takenBytes, appended);
        }

        OnProgress();
        return true;
    }

    /// <summary>What was read has been taken: the flood may go on.</summary>
    public void Take(long bytes)
    {
        lock (_lock)
        {
            Volatile.Write(ref _takenBytes, _takenBytes + bytes);
        }

        OnProgress();
    }

    /// <summary>What was read and not taken is read again.</summary>
    public void Rewind()
    {
        lock (_lock)
        {
            _reader?.Rewind();
        }
    }

    /// <summary>The follower leaves.</summary>
    public void Release() => owner.Release(this);

    /// <summary>The command's output is at hand from now on.</summary>
    public void Bind(CommandSpool spool)
    {
        lock (_lock)
        {
            _spool = spool;
            _reader = new SpoolReader(spool);
            _takenBytes = 0;
            _isComplete = false;
        }

        _changed.Set();
    }

    /// <summary>Records were appended.</summary>
    public void Notify() => _changed.Set();

    /// <summary>No more records will be.</summary>
    public void Complete()
    {
        _isComplete = true;
        _changed.Set();
    }

    /// <summary>The spool is about to be closed; nothing happens when another one has taken its place.</summary>
    public void Unbind(CommandSpool spool)
    {
        lock (_lock)
        {
            if (_spool != spool)
            {
                return;
            }

            _spool = null;
            _reader = null;
        }

        _changed.Set();
        owner.Forget(this);
    }

    /// <summary>Waits, within bounds, while the follower would lose records to the flood behind them.</summary>
    public async ValueTask WaitForRoomAsync(CancellationToken cancellationToken)
    {
        while (IsFollowed && !_hasGivenUp && IsFarBehind())
        {
            var progress = _progress.Next;
            if (IsFollowed && IsFarBehind())
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                _hasGivenUp = await Task.WhenAny(progress, Task.Delay(Patience, clock, limit.Token)) != progress;
                await limit.CancelAsync();
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>Completes when nobody reads the spool any more.</summary>
    public async Task WhenReleasedAsync(CancellationToken cancellationToken)
    {
        while (IsFollowed)
        {
            var progress = _progress.Next;
            if (IsFollowed)
            {
                await progress.WaitAsync(cancellationToken);
            }
        }
    }

    /// <summary>Wakes whoever waits for the follower.</summary>
    internal void OnReleased() => _progress.Set();

    private void OnProgress()
    {
        _hasGivenUp = false;
        _progress.Set();
    }

    private bool IsFarBehind() => _spool is { } spool && spool.AppendedBytes - Volatile.Read(ref _takenBytes) > WindowBytes;
}
