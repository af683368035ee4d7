using System.Collections.Concurrent;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Nodes;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Artifacts;
using CrowNest.Worker.Commands.Output;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;

namespace CrowNest.Worker.Commands;

/// <summary>Starts, adopts and cancels the commands of this node. A command goes on when its caller leaves.</summary>
internal sealed partial class CommandRunner : IHostedService, IDisposable
{
    private readonly ConcurrentDictionary<string, CommandRun> _runs = new();
    private readonly CommandStore _commands;
    private readonly LiveSandboxes _sandboxes;
    private readonly LogArchiver _finished;
    private readonly ILogger<CommandRunner> _logger;
    private readonly CancellationTokenSource _stopping;
    private readonly TimeProvider _clock;
    private readonly CommandRunServices _services;
    private int _isDisposed;

    public CommandRunner(
        CommandStore commands, LiveSandboxes sandboxes, SpoolFolder spools, CommandLogWriter writer, OutputTaps taps,
        LogArchiver finished, CommandCollection collection, WorkerRetries retries, IHostApplicationLifetime lifetime, TimeProvider clock,
        ILogger<CommandRunner> logger)
    {
        _commands = commands;
        _sandboxes = sandboxes;
        _finished = finished;
        _logger = logger;
        _clock = clock;
        _stopping = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
        Stopping = _stopping.Token;
        _services = new CommandRunServices
        {
            Commands = commands,
            Sandboxes = sandboxes,
            Clock = clock,
            Retries = retries,
            Logger = logger,
            OpenOutput = (id, capture) => CommandOutput.Open(id, spools.PathOf(id), capture, writer, taps, clock, logger),
            Collect = collection.CollectAsync,
            Finished = OnFinished,
        };
    }

    /// <summary>Fires when this process lets go of its commands, which run on in their sandboxes.</summary>
    public CancellationToken Stopping { get; }

    /// <summary>Commands in work.</summary>
    public int Count => _runs.Count;

    public bool IsRunning(string commandId) => _runs.ContainsKey(commandId);

    /// <summary>
    /// Starts a command, or joins the one with this id. Returns its row: final, or as it stands when
    /// <see cref="StartCommand.WaitMs"/> are over.
    /// </summary>
    /// <returns>null when there is no such command in that sandbox.</returns>
    /// <exception cref="WorkerException">The sandbox is not on this node, or not any more; nothing was done.</exception>
    public async Task<CommandRow?> StartAsync(StartCommand request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!_runs.TryGetValue(request.CommandId, out var run))
        {
            if (!_sandboxes.TryGet(request.SandboxId, out var sandbox))
            {
                return await _commands.FindAsync(request.CommandId, cancellationToken) is { IsFinal: true } final
                    ? final
                    : throw NotHere(request.SandboxId);
            }

            var created = new CommandRun(request.CommandId, sandbox, _services);
            run = _runs.GetOrAdd(created.Id, created);
            if (ReferenceEquals(run, created))
            {
                run.Over = ForgetAfterAsync(run, run.StartAsync(request, markAtOnce: request.WaitMs <= 0, Stopping));
            }
            else
            {
                created.Dispose();
            }
        }

        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await (request.WaitMs > 0
            ? Task.WhenAny(run.Completion, Task.Delay(TimeSpan.FromMilliseconds(request.WaitMs), _clock, waiting.Token))
            : run.Started.WaitAsync(cancellationToken));
        await waiting.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        return run.Completion.IsCompleted ? await run.Completion : await _commands.FindAsync(request.CommandId, cancellationToken);
    }

    /// <summary>Cancels a command and returns its final row; one that is final already is returned unchanged.</summary>
    /// <returns>null when there is no such command.</returns>
    /// <exception cref="WorkerException">It is not final and not in work here.</exception>
    public async Task<CommandRow?> CancelAsync(string commandId, string mode, CancellationToken cancellationToken)
    {
        if (!_runs.TryGetValue(commandId, out var run))
        {
            return await _commands.FindAsync(commandId, cancellationToken) switch
            {
                null => null,
                { IsFinal: true } final => final,
                { State: CommandStatus.Queued } queued => await CancelQueuedAsync(queued, mode, cancellationToken),
                var active => throw NotHere(active.SandboxId),
            };
        }

        await run.Started.WaitAsync(cancellationToken);
        if (!run.Final.IsCompleted)
        {
            try
            {
                await run.Sandbox.Agent.CancelAsync(commandId, mode, graceMs: null, cancellationToken);
            }
            catch (AgentErrorException exception) when (exception.Status is StatusCodes.Status404NotFound or StatusCodes.Status409Conflict)
            {
                // It ended this moment; the end is on its way.
                LogCancelTooLate(exception, commandId);
            }
            catch (AgentUnavailableException exception)
            {
                // The agent is checked, and with its sandbox the command ends.
                LogCancelUnheard(exception, commandId);
                _sandboxes.Suspect(run.Sandbox.Id);
            }
        }

        return await run.Final.WaitAsync(cancellationToken);
    }

    /// <summary>Carries on with a command of a former process; false when this one has it already.</summary>
    /// <param name="state">What the agent says; null: it does not know the command.</param>
    public bool Adopt(CommandRow row, LiveSandbox sandbox, AgentCommandState? state)
    {
        var run = new CommandRun(row.Id, sandbox, _services);
        if (!_runs.TryAdd(row.Id, run))
        {
            run.Dispose();
            return false;
        }

        LogAdopted(row.Id, sandbox.Id);
        run.Over = ForgetAfterAsync(run, run.AdoptAsync(row, state, Stopping));
        return true;
    }

    /// <summary>Carries on with the collection of a command whose row is final; false when this process is at it already.</summary>
    public bool Resume(CommandRow final, LiveSandbox sandbox)
    {
        var run = new CommandRun(final.Id, sandbox, _services);
        if (!_runs.TryAdd(final.Id, run))
        {
            run.Dispose();
            return false;
        }

        LogResumed(final.Id, sandbox.Id);
        run.Over = ForgetAfterAsync(run, run.ResumeAsync(final, Stopping));
        return true;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Commands keep running in their sandboxes; what this process knows of them is on disk when this returns.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        while (!_runs.IsEmpty)
        {
            await Task.WhenAll(_runs.Values.Select(run => run.Over)).WaitAsync(cancellationToken);
            await Task.Yield();
        }

        await _finished.WhenIdleAsync().WaitAsync(cancellationToken);
    }

    /// <summary>May come more than once: the container knows this as itself and as a hosted service.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _stopping.Cancel();
            _stopping.Dispose();
        }
    }

    /// <summary>Not yet, after a restart, or not any more: the caller tries again, and meanwhile the row may tell more.</summary>
    private static WorkerException NotHere(string sandboxId) => WorkerException.Conflict($"Sandbox {sandboxId} is not on this node.");

    private async Task<CommandRow?> CancelQueuedAsync(CommandRow row, string mode, CancellationToken cancellationToken)
    {
        var now = _clock.GetUtcNow();
        var end = new CommandEnd { State = CommandStatus.Canceled, FinishedAt = now, CancelMode = mode, CanceledAt = now };
        return await _commands.FinishAsync(row.Id, end, cancellationToken) ?? await _commands.FindAsync(row.Id, cancellationToken);
    }

    private async Task ForgetAfterAsync(CommandRun run, Task carrying)
    {
        await carrying;
        _runs.TryRemove(run.Id, out _);
        run.Dispose();
    }

    private void OnFinished(CommandRow final, CommandOutput output, LiveSandbox sandbox)
    {
        _finished.Keep(final, output, Stopping);
        if (!sandbox.Ended.IsCancellationRequested)
        {
            _ = ForgetInAgentAsync(final.Id, sandbox);
        }
    }

    private async Task ForgetInAgentAsync(string commandId, LiveSandbox sandbox)
    {
        try
        {
            await sandbox.Agent.DeleteCommandAsync(commandId, sandbox.Ended);
        }
        catch (OperationCanceledException)
        {
            // With the sandbox went the command.
        }
        catch (Exception exception) when (exception is AgentErrorException or AgentUnavailableException)
        {
            // It costs the agent a little memory until the sandbox ends.
            LogNotForgotten(exception, commandId);
        }
    }

    [LoggerMessage(6141, LogLevel.Information, "Adopted command {CommandId} of {SandboxId}")]
    private partial void LogAdopted(string commandId, string sandboxId);

    [LoggerMessage(6145, LogLevel.Information, "Collecting of {CommandId} in {SandboxId} goes on")]
    private partial void LogResumed(string commandId, string sandboxId);

    [LoggerMessage(6142, LogLevel.Warning, "The agent could not be told to forget {CommandId}")]
    private partial void LogNotForgotten(Exception exception, string commandId);

    [LoggerMessage(6143, LogLevel.Debug, "The cancel of {CommandId} came after its end")]
    private partial void LogCancelTooLate(Exception exception, string commandId);

    [LoggerMessage(6144, LogLevel.Warning, "The cancel of {CommandId} did not reach the agent")]
    private partial void LogCancelUnheard(Exception exception, string commandId);
}
