using CrowNest.Agent.Http;
using CrowNest.Agent.Processes;

namespace CrowNest.Agent.Commands;

/// <summary>
/// One command from launch to forgotten. Why it ended is decided once, by whichever came first: its own end, its deadline, a cancel.
/// The launcher is the judge of the first: only a launcher that was told to terminate in time ends by a signal.
/// </summary>
internal sealed class Command
{
    /// <summary>Between the deadline's SIGTERM and SIGKILL (docs/protocols.md 2.1).</summary>
    private static readonly TimeSpan s_deadlineGrace = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Another process of the user can stop (SIGSTOP) the launcher's child between its uid drop and its execve; it must not hold us.
    /// </summary>
    private static readonly TimeSpan s_launchLimit = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Launcher _launcher;
    private readonly TimeProvider _time;
    private readonly CommandOutput _output;
    private readonly Launcher.Pipe _stdout;
    private readonly Launcher.Pipe _stderr;
    private readonly TaskCompletionSource<AgentError?> _launched = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _launcherPid;
    private int _pid;
    private long _startedAt;
    private long? _endedAt;
    private LauncherEnd _end;
    private EndReason? _reason;
    private CancelMode? _cancelMode;
    private ITimer? _deadline;
    private ITimer? _grace;

    internal Command(string id, Launcher launcher, Reactor reactor, int window, TimeProvider time)
    {
        Id = id;
        _launcher = launcher;
        _time = time;
        _stdout = Launcher.Pipe.Create();
        try
        {
            _stderr = Launcher.Pipe.Create();
        }
        catch (IOException)
        {
            _stdout.Close();
            throw;
        }
        _output = new CommandOutput(_stdout.Read, _stderr.Read, window, reactor);
    }

    internal string Id { get; }

    internal CommandOutput Output => _output;

    /// <summary>Null when the shell runs (or ran), else why it never did.</summary>
    internal Task<AgentError?> Launched => _launched.Task;

    internal bool HasEnded
    {
        get
        {
            lock (_gate) return _endedAt is not null;
        }
    }

    internal CommandState State
    {
        get
        {
            lock (_gate)
            {
                return new CommandState(
                    Id, _pid, _endedAt is null ? CommandPhase.Running : CommandPhase.Ended, _startedAt, _endedAt,
                    ExitCode, _endedAt is null ? null : _reason, TerminationSignal, _cancelMode, _output.Produced, _output.Acknowledged);
            }
        }
    }

    private int? ExitCode => _endedAt is not null && _reason == EndReason.Exited ? _end.Code ?? 128 + _end.Signal : null;

    private string? TerminationSignal => _endedAt is null || _reason == EndReason.Exited
        ? null
        : _end.Signal == Libc.SIGTERM ? "SIGTERM" : "SIGKILL";

    /// <summary>Returns once the shell has been executed; <see cref="Launched"/> tells everyone else.</summary>
    internal async Task<AgentError?> LaunchAsync(string commandLine, string cwd, IReadOnlyList<string> environment, TimeSpan? timeout)
    {
        AgentError? error = null;
        try
        {
            _startedAt = _time.GetUtcNow().ToUnixTimeMilliseconds();
            var launch = _launcher.Start(_stdout, _stderr, commandLine, cwd, environment, OnEnded);
            _launcherPid = launch.Pid;
            _output.Open();
            _pid = await launch.Status.Outcome.WaitAsync(s_launchLimit, _time);
            StartDeadline(timeout);
        }
        catch (TimeoutException)
        {
            Kill();
            error = AgentError.RuntimeError($"the shell did not start within {s_launchLimit.TotalSeconds} s");
        }
        catch (AgentException e)
        {
            error = e.Error;
        }
        catch (IOException e)
        {
            error = AgentError.RuntimeError(e.Message);
        }

        if (error is not null) _output.Abandon();
        _launched.SetResult(error);
        return error;
    }

    /// <summary>Asks for the end; nothing happens to a command that has ended. Only after <see cref="Launched"/>.</summary>
    internal void Cancel(CancelMode mode, TimeSpan grace)
    {
        lock (_gate)
        {
            if (_endedAt is not null) return;
            bool first = _reason is null;
            _reason ??= EndReason.Canceled;
            if (mode == CancelMode.Force)
            {
                _cancelMode = CancelMode.Force;
                Kill();
                return;
            }
            _cancelMode ??= CancelMode.Graceful;
            if (first) Terminate(grace);
        }
    }

    private void StartDeadline(TimeSpan? timeout)
    {
        lock (_gate)
        {
            if (timeout is null || _endedAt is not null) return;
            _deadline = _time.CreateTimer(_ => OnDeadline(), null, timeout.Value, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnDeadline()
    {
        lock (_gate)
        {
            if (_endedAt is not null || _reason is not null) return;
            _reason = EndReason.TimedOut;
            Terminate(s_deadlineGrace);
        }
    }

    private void Terminate(TimeSpan grace)
    {
        _launcher.Signal(_launcherPid, Libc.SIGTERM);
        _grace = _time.CreateTimer(_ => Kill(), null, grace, Timeout.InfiniteTimeSpan);
    }

    private void Kill() => _launcher.Signal(_launcherPid, Libc.SIGUSR1);

    private void OnEnded(LauncherEnd end)
    {
        _output.Complete();
        lock (_gate)
        {
            _end = end;
            // A launcher that ended with a code saw its main process end before it was told to terminate anything.
            if (end.Code is not null || _reason is null) _reason = EndReason.Exited;
            _endedAt = _time.GetUtcNow().ToUnixTimeMilliseconds();
            _deadline?.Dispose();
            _grace?.Dispose();
        }
        _output.Wake();
    }
}
