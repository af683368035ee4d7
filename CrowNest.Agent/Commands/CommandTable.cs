using System.Collections.Concurrent;
using CrowNest.Agent.Http;
using CrowNest.Agent.Processes;

namespace CrowNest.Agent.Commands;

/// <summary>The identity of the sandbox and every command that has not been deleted.</summary>
internal sealed class CommandTable(AgentOptions options, ChildProcesses children, Reactor reactor, TimeProvider time)
{
    /// <summary>Each running command costs a launcher outside of RLIMIT_NPROC: together they must fit what the pids limit leaves.</summary>
    internal const int MaxRunning = 64;

    /// <summary>Ended commands hold up to a window of output until they are deleted.</summary>
    internal const int MaxKnown = 256;

    private static readonly Dictionary<string, string> s_empty = [];

    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, Command> _commands = new(StringComparer.Ordinal);
    private readonly Launcher _launcher = new(options, children, reactor);
    private string? _sandboxId;
    private Dictionary<string, string> _environment = s_empty;

    internal string? SandboxId => Volatile.Read(ref _sandboxId);

    internal int RunningCount => _commands.Values.Count(c => !c.HasEnded);

    /// <exception cref="AgentException">conflict: this sandbox is another one already</exception>
    internal void Claim(string sandboxId, Dictionary<string, string>? environment)
    {
        lock (_gate)
        {
            if (_sandboxId == sandboxId) return;
            if (_sandboxId is not null) throw new AgentException(AgentError.Conflict($"this is sandbox {_sandboxId} already"));
            _environment = environment ?? s_empty;
            Volatile.Write(ref _sandboxId, sandboxId);
        }
    }

    /// <summary>Starts a command, or finds the one that has this id; returns when its shell runs.</summary>
    /// <exception cref="AgentException">conflict, quota_exceeded, runtime_error, and the errors of the working directory</exception>
    internal async Task<(Command Command, bool Started)> StartAsync(
        string id, string commandLine, string? cwd, Dictionary<string, string>? environment, TimeSpan? timeout)
    {
        Command? command;
        bool starts = false;
        lock (_gate)
        {
            if (_sandboxId is null) throw new AgentException(AgentError.Conflict("this sandbox has not been claimed"));
            if (!_commands.TryGetValue(id, out command))
            {
                CheckLimits();
                command = Create(id);
                _commands[id] = command;
                starts = true;
            }
        }

        AgentError? error;
        if (starts)
        {
            var variables = CommandEnvironment.Compose(options, _environment, environment);
            error = await command.LaunchAsync(commandLine, cwd ?? options.Workspace, variables, timeout);
            if (error is not null) _commands.TryRemove(new KeyValuePair<string, Command>(id, command));
        }
        else
        {
            error = await command.Launched;
        }
        return error is null ? (command, starts) : throw new AgentException(error);
    }

    /// <summary>A command whose shell has been executed.</summary>
    /// <exception cref="AgentException">not_found</exception>
    internal async Task<Command> GetAsync(string id)
    {
        if (_commands.TryGetValue(id, out var command) && await command.Launched is null) return command;
        throw new AgentException(AgentError.NotFound($"no command {id}"));
    }

    internal IReadOnlyList<CommandState> List() =>
        [.. _commands.Values.Where(c => c.Launched is { IsCompletedSuccessfully: true, Result: null }).Select(c => c.State)];

    /// <exception cref="AgentException">not_found; conflict: it still runs</exception>
    internal async Task DeleteAsync(string id)
    {
        var command = await GetAsync(id);
        if (!command.HasEnded) throw new AgentException(AgentError.Conflict($"command {id} is still running"));
        _commands.TryRemove(new KeyValuePair<string, Command>(id, command));
        command.Output.Forget();
    }

    private Command Create(string id)
    {
        try
        {
            return new Command(id, _launcher, reactor, options.OutputWindowBytes, time);
        }
        catch (IOException e)
        {
            throw new AgentException(AgentError.RuntimeError(e.Message));
        }
    }

    private void CheckLimits()
    {
        if (RunningCount >= MaxRunning)
            throw new AgentException(AgentError.QuotaExceeded($"{MaxRunning} commands are running"));
        if (_commands.Count >= MaxKnown)
            throw new AgentException(AgentError.QuotaExceeded($"{MaxKnown} commands are held; delete ended ones"));
    }
}
