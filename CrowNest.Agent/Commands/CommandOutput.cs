using CrowNest.Agent.Http;
using CrowNest.Agent.Processes;

namespace CrowNest.Agent.Commands;

/// <summary>
/// The combined output of one command: read from its pipes, held until acknowledged, never more than the window. Written by the
/// reactor's thread (and once, at the end, by the reaper's), read by at most one connection.
/// </summary>
internal sealed class CommandOutput
{
    private readonly Lock _gate = new();
    private readonly Queue<OutputBlock> _blocks = new();
    private readonly int _window;
    private readonly OutputPipe[] _pipes;
    private OutputBlock? _tail;
    private long _produced;
    private long _acknowledged;
    private long _runCosts;
    private bool _full;
    private bool _ended;
    private bool _forgotten;
    private TaskCompletionSource? _more;
    private CancellationTokenSource? _reader;

    internal CommandOutput(int stdout, int stderr, int window, Reactor reactor)
    {
        _window = window;
        _pipes = [new(stdout, OutputKind.Stdout, this, reactor), new(stderr, OutputKind.Stderr, this, reactor)];
    }

    internal long Produced => Volatile.Read(ref _produced);

    internal long Acknowledged => Volatile.Read(ref _acknowledged);

    internal void Open()
    {
        lock (_gate)
        {
            foreach (var pipe in _pipes) pipe.Resume();
        }
    }

    internal void OnReadable(OutputPipe pipe)
    {
        lock (_gate)
        {
            if (_ended)
            {
                pipe.Drop();
                return;
            }

            // One block at most, then it is the next pipe's turn.
            if (Room() > 0) Append(pipe, Room());
            if (Room() > 0) return;
            _full = true;
            foreach (var each in _pipes) each.Pause();
        }
    }

    /// <summary>
    /// The main process has ended. What is in the pipes now was written before and belongs to the output, window or not (a pipe is
    /// small); what comes later was written by processes it left behind and is dropped.
    /// </summary>
    internal void Complete()
    {
        lock (_gate)
        {
            if (_ended) return;
            foreach (var pipe in _pipes)
            {
                for (int waiting = pipe.Waiting(); waiting > 0;)
                {
                    int n = Append(pipe, waiting);
                    if (n == 0) break;
                    waiting -= n;
                }
            }
            _ended = true;
            foreach (var pipe in _pipes) pipe.Resume();
        }
    }

    /// <summary>Tells a waiting connection that the end frame can be made: the command's state is final.</summary>
    internal void Wake()
    {
        lock (_gate) WakeReader();
    }

    /// <summary>For a command that never ran: nothing will be read.</summary>
    internal void Abandon()
    {
        lock (_gate)
        {
            _ended = true;
            foreach (var pipe in _pipes) pipe.Close();
        }
        Forget();
    }

    /// <summary>Drops what is held and disconnects the reader. Pipes of processes left behind go on being drained.</summary>
    internal void Forget()
    {
        lock (_gate)
        {
            _forgotten = true;
            while (_blocks.TryDequeue(out var block)) block.Return();
            _tail = null;
            _ = _reader?.CancelAsync();
        }
    }

    /// <summary>Makes <paramref name="reader"/> the only reader; the one before is canceled. Null when it was accepted.</summary>
    internal AgentError? Attach(long from, CancellationTokenSource reader)
    {
        lock (_gate)
        {
            if (from < _acknowledged) return AgentError.StreamGap($"output before {_acknowledged} has been acknowledged and forgotten");
            if (from > _produced) return AgentError.InvalidRequest($"output has only reached {_produced}");
            if (_forgotten) return AgentError.NotFound("command is forgotten");
            _ = _reader?.CancelAsync();
            _reader = reader;
            return null;
        }
    }

    internal void Detach(CancellationTokenSource reader)
    {
        lock (_gate)
        {
            if (_reader == reader) _reader = null;
        }
    }

    /// <summary>
    /// Copies the next bytes of one stream, 0 when there are none yet. A copy, because the block may be acknowledged over another
    /// connection and used again while a slow socket still holds ours.
    /// </summary>
    internal int Copy(long position, Span<byte> into, out OutputKind kind)
    {
        lock (_gate)
        {
            foreach (var block in _blocks)
            {
                if (position < block.Offset || position >= block.EndOffset) continue;
                var run = block.RunAt(position, out kind);
                if (run.Length > into.Length) run = run[..into.Length];
                run.CopyTo(into);
                return run.Length;
            }
            kind = OutputKind.End;
            return 0;
        }
    }

    /// <summary>
    /// Completes when there is output beyond <paramref name="position"/> or <see cref="Wake"/> was called. Ask for it before looking at
    /// the state, or a wake-up between the two is lost.
    /// </summary>
    internal Task WhenMore(long position)
    {
        lock (_gate)
        {
            if (_produced > position || _forgotten) return Task.CompletedTask;
            _more ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _more.Task;
        }
    }

    internal void Acknowledge(long position)
    {
        lock (_gate)
        {
            if (position <= _acknowledged || _forgotten) return;
            Volatile.Write(ref _acknowledged, Math.Min(position, _produced));
            while (_blocks.TryPeek(out var block) && block.EndOffset <= _acknowledged)
            {
                if (block == _tail) _tail = null;
                _blocks.Dequeue();
                _runCosts -= (long)block.RunCount * OutputBlock.RunCost;
                block.Return();
            }

            // Some slack, or the two threads would hand over single bytes.
            if (!_full || Room() < Math.Min(OutputBlock.Capacity, _window / 4)) return;
            _full = false;
            foreach (var pipe in _pipes) pipe.Resume();
        }
    }

    private long Room() => _window - (_produced - _acknowledged) - _runCosts;

    private int Append(OutputPipe pipe, long most)
    {
        // A nearly full block would make for tiny reads.
        bool begins = _tail is null || _tail.Free < OutputBlock.Capacity / 16;
        var block = begins ? OutputBlock.Rent(_produced) : _tail!;
        int n = pipe.Read(block.Bytes.AsSpan(block.Used, (int)Math.Min(block.Free, most)));
        if (n == 0)
        {
            if (begins) block.Return();
            return 0;
        }

        if (begins)
        {
            _blocks.Enqueue(block);
            _tail = block;
        }
        if (block.Commit(pipe.Kind, n)) _runCosts += OutputBlock.RunCost;
        Volatile.Write(ref _produced, _produced + n);
        WakeReader();
        return n;
    }

    private void WakeReader()
    {
        var more = _more;
        _more = null;
        more?.TrySetResult();
    }
}
