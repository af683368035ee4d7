using System.Diagnostics;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Commands.Output;
using CrowNest.Worker.Sandboxes;

namespace CrowNest.Worker.Commands;

/// <summary>One command in work, from its start or adoption until its row is final and what it left behind is collected.</summary>
internal sealed partial class CommandRun(string id, LiveSandbox sandbox, CommandRunServices services) : IDisposable
{
    /// <summary>A command that is over sooner is never marked running: one write less, on the path of every short command.</summary>
    private static readonly TimeSpan MarkRunningAfter = TimeSpan.FromMilliseconds(15);

    /// <summary>With the backoff below about a minute of an agent that answers its health check and nothing else.</summary>
    private const int MaxFailures = 35;
    private const int MaxProtocolBreaks = 5;
    private const int MaxBackoffMs = 2000;

    private readonly CommandRecord _record = new(id, services);
    private readonly OutputCapture _capture = new();
    private readonly TaskCompletionSource<CommandRow?> _final = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<CommandRow?> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _over = new();
    private Task _markedRunning = Task.CompletedTask;

    public string Id => id;
    public LiveSandbox Sandbox => sandbox;

    /// <summary>The final row as soon as it is final, its collection perhaps still to come. Else as <see cref="Completion"/>.</summary>
    public Task<CommandRow?> Final => _final.Task;

    /// <summary>The final row when nothing of it is pending; null when there is none. Canceled when this process stops before.</summary>
    public Task<CommandRow?> Completion => _completion.Task;

    /// <summary>Completes, never faulted, when this process is done with the command.</summary>
    public Task Over { get; set; } = Task.CompletedTask;

    /// <summary>The agent knows the command, or it is over.</summary>
    public Task Started => _started.Task;

    /// <summary>Starts the command, unless its row says that it is over, and carries it to its end.</summary>
    /// <param name="markAtOnce">Whether someone waits for the row to say that it runs.</param>
    public async Task StartAsync(StartCommand request, bool markAtOnce, CancellationToken stopping)
    {
        using var activity = WorkerTelemetry.Activities.StartActivity("command");
        activity?.SetTag("crownest.command_id", id).SetTag("crownest.sandbox_id", sandbox.Id);
        var since = services.Clock.GetTimestamp();
        await GuardAsync(
            async () =>
            {
                // A request may be repeated after the agent has been told to forget the command: the row remembers.
                var row = await services.Commands.FindAsync(id, stopping);
                if (row?.SandboxId != sandbox.Id)
                {
                    row = null;
                }

                if (row is { IsFinal: true, CollectStatus: CollectStatus.Pending })
                {
                    await CompleteAsync(row, services.OpenOutput(id, _capture), stopping);
                    return;
                }

                if (row is null or { IsFinal: true })
                {
                    _final.TrySetResult(row);
                    _completion.TrySetResult(row);
                    return;
                }

                _ = RecordDurationAsync(since);
                await CarryAsync(row, token => StartInAgentAsync(row, request, since, markAtOnce, token), stopping);
            },
            stopping);
        activity?.SetTag("crownest.command_state", FinalState);
    }

    /// <summary>Carries on with a command that a former process started.</summary>
    /// <param name="state">What the agent says of it; null: it does not know the command, which has failed then.</param>
    public Task AdoptAsync(CommandRow row, AgentCommandState? state, CancellationToken stopping) => GuardAsync(
        () => CarryAsync(
            row,
            _ =>
            {
                if (state is null)
                {
                    throw new AgentErrorException(
                        StatusCodes.Status404NotFound, ErrorCodes.NotFound, "The agent does not know the command.");
                }

                _markedRunning = row.State == CommandStatus.Running
                    ? Task.CompletedTask
                    : _record.MarkRunningAsync(row, state, TimeSpan.Zero, _over.Token);
                return Task.CompletedTask;
            },
            stopping),
        stopping);

    /// <summary>Carries on with a command whose row is final, and that a former process did not get to collecting.</summary>
    public Task ResumeAsync(CommandRow final, CancellationToken stopping) =>
        GuardAsync(() => CompleteAsync(final, services.OpenOutput(id, _capture), stopping), stopping);

    public void Dispose() => _over.Dispose();

    private string FinalState => (_final.Task.IsCompletedSuccessfully ? _final.Task.Result?.State : null) ?? "unknown";

    private async Task RecordDurationAsync(long since)
    {
        await Task.WhenAny(_final.Task);
        CommandMetrics.Duration.Record(
            services.Clock.GetElapsedTime(since).TotalMilliseconds, new KeyValuePair<string, object?>("state", FinalState));
    }

    private async Task GuardAsync(Func<Task> carry, CancellationToken stopping)
    {
        try
        {
            await carry();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Spool and agent keep everything for the next process.
            _final.TrySetCanceled(CancellationToken.None);
            _completion.TrySetCanceled(CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogBroken(services.Logger, exception, id);
            // Observed here: it may be that nobody waits.
            _final.TrySetException(exception);
            _ = _final.Task.Exception;
            _completion.TrySetException(exception);
            _ = _completion.Task.Exception;
        }

        _started.TrySetResult();
    }

    private async Task CarryAsync(CommandRow row, Func<CancellationToken, Task> start, CancellationToken stopping)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stopping, sandbox.Ended);
        var output = services.OpenOutput(id, _capture);
        try
        {
            var end = await RunAsync(row, output, start, ending.Token);
            await _over.CancelAsync();
            await _markedRunning;
            var final = await _record.FinishAsync(WithOutput(end, output.Spool), stopping);
            var completing = CompleteAsync(final, output, stopping);
            output = null;
            await completing;
        }
        finally
        {
            if (output is not null)
            {
                await output.DisposeAsync();
            }
        }
    }

    /// <summary>What is left once the row is final: its collection, then whatever <see cref="CommandRunServices.Finished"/> does.</summary>
    private async Task CompleteAsync(CommandRow final, CommandOutput output, CancellationToken stopping)
    {
        output.Tap.Complete();
        _final.TrySetResult(final);
        _started.TrySetResult();
        try
        {
            final = await services.Collect(final, sandbox, stopping);
        }
        catch
        {
            await output.DisposeAsync();
            throw;
        }

        _completion.TrySetResult(final);
        services.Finished(final, output, sandbox);
    }

    private async Task<CommandEnd> RunAsync(
        CommandRow row, CommandOutput output, Func<CancellationToken, Task> start, CancellationToken ending)
    {
        try
        {
            await start(ending);
            _started.TrySetResult();
            var state = await RetryAsync(() => output.Pump.RunAsync(sandbox.Agent, ending), () => output.Pump.TakenBytes, ending);
            return CommandEnds.FromAgent(state, row.CreatedAt, services.Clock.GetUtcNow());
        }
        catch (AgentErrorException refusal)
        {
            LogRefused(services.Logger, refusal, id, refusal.Code);
            return CommandEnds.Refused(refusal, row.Cwd, services.Clock.GetUtcNow());
        }
        catch (AgentUnavailableException failure)
        {
            LogLost(services.Logger, failure, id);
            return CommandEnds.Failed(ErrorCodes.RuntimeError, "The sandbox does not answer.", services.Clock.GetUtcNow());
        }
        catch (OperationCanceledException) when (sandbox.Ended.IsCancellationRequested)
        {
            return new CommandEnd
            {
                State = CommandStatus.Killed,
                FinishedAt = services.Clock.GetUtcNow(),
                KilledReason = KilledReason.SandboxDestroyed,
            };
        }
    }

    private CommandEnd WithOutput(CommandEnd end, CommandSpool spool) => end with
    {
        Stdout = _capture.Stdout,
        Stderr = _capture.Stderr,
        StdoutTruncated = _capture.StdoutTruncated,
        StderrTruncated = _capture.StderrTruncated,
        OldestSeq = spool.OldestSeq,
        LastSeq = spool.LastSeq,
    };

    private async Task StartInAgentAsync(
        CommandRow row, StartCommand request, long since, bool markAtOnce, CancellationToken cancellationToken)
    {
        var start = new AgentStartCommand
        {
            Id = id,
            Command = request.Command,
            Cwd = request.Cwd,
            Environment = request.Env,
            TimeoutMs = request.TimeoutMs,
        };

        // The id makes repeating harmless: an agent that knows it starts nothing.
        var state = await RetryAsync(() => sandbox.Agent.StartCommandAsync(start, cancellationToken), () => 0, cancellationToken);
        CommandMetrics.StartDuration.Record(services.Clock.GetElapsedTime(since).TotalMilliseconds);
        TraceStart(row, state);
        _markedRunning = _record.MarkRunningAsync(row, state, markAtOnce ? TimeSpan.Zero : MarkRunningAfter, _over.Token);
        if (markAtOnce)
        {
            await _markedRunning;
        }
    }

    private async Task<AgentCommandState> RetryAsync(
        Func<Task<AgentCommandState>> call, Func<long> progress, CancellationToken cancellationToken)
    {
        var failures = 0;
        while (true)
        {
            var before = progress();
            try
            {
                return await call();
            }
            catch (AgentUnavailableException failure)
            {
                cancellationToken.ThrowIfCancellationRequested();
                services.Sandboxes.Suspect(sandbox.Id);
                failures = progress() > before ? 1 : failures + 1;
                LogConnectionLost(services.Logger, failure, id, failures);
                if (failures >= (failure.BrokeProtocol ? MaxProtocolBreaks : MaxFailures))
                {
                    throw;
                }

                await Task.Delay(
                    TimeSpan.FromMilliseconds(Math.Min(10 << Math.Min(failures, 10), MaxBackoffMs)), services.Clock, cancellationToken);
            }
        }
    }

    /// <summary>The agent's part of the trace: the time from its acceptance until the shell was executed, as it reports it.</summary>
    private void TraceStart(CommandRow row, AgentCommandState state)
    {
        var end = services.Clock.GetUtcNow();
        var start = CommandEnds.FromAgent(state, row.CreatedAt, end).StartedAt!.Value;
        WorkerTelemetry.Activities.StartActivity("agent.exec", ActivityKind.Client, Activity.Current?.Context ?? default, startTime: start)
            ?.SetEndTime(end.UtcDateTime).Dispose();
    }

    [LoggerMessage(6121, LogLevel.Information, "The agent refused {CommandId}: {Code}")]
    private static partial void LogRefused(ILogger logger, Exception exception, string commandId, string code);

    [LoggerMessage(6122, LogLevel.Error, "The agent of {CommandId} is lost; the command fails")]
    private static partial void LogLost(ILogger logger, Exception exception, string commandId);

    [LoggerMessage(6123, LogLevel.Error, "Command {CommandId} cannot be carried on by this process")]
    private static partial void LogBroken(ILogger logger, Exception exception, string commandId);

    [LoggerMessage(6124, LogLevel.Warning, "Connection to the agent of {CommandId} failed, {Failures} times in a row")]
    private static partial void LogConnectionLost(ILogger logger, Exception exception, string commandId, int failures);
}
