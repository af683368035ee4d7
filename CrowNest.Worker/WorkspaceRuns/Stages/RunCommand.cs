using System.Globalization;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Worker.Commands;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.WorkspaceRuns.Claiming;

namespace CrowNest.Worker.WorkspaceRuns.Stages;

/// <summary>The command of a run: an ordinary command of its sandbox, queued once, whose end becomes the run's.</summary>
internal sealed partial class RunCommand(
    CommandStore commands, CommandRunner execution, LiveSandboxes live, RunOutput output, TimeProvider clock, ILogger<RunCommand> logger)
{
    /// <summary>The agent kills what a graceful cancel leaves after ten seconds.</summary>
    private static readonly TimeSpan GracefulPatience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ForcePatience = TimeSpan.FromSeconds(10);

    /// <summary>How long the last output of a command that ended with its sandbox is waited for.</summary>
    private static readonly TimeSpan KilledPatience = TimeSpan.FromSeconds(5);

    /// <summary>Longer than any command may run: the end is what is waited for.</summary>
    private static readonly TimeSpan Wait = TimeSpan.FromDays(20);

    /// <summary>Whether the command may have been started already; it never is a second time.</summary>
    public async Task<bool> IsStartedAsync(ClaimedRun run, CancellationToken cancellationToken) =>
        run.Row.CommandId is { } id && await commands.FindAsync(id, cancellationToken) is not null;

    /// <summary>Writes the command's row, under an id that the run's row names before.</summary>
    public async Task QueueAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        if (run.Row.CommandId is null)
        {
            await run.AssignCommandAsync(Ids.New(Ids.Command), cancellationToken);
        }

        var row = run.Row;
        var insert = await commands.InsertAsync(
            new Ownership(row.OrgId, null),
            new NewCommand
            {
                Id = row.CommandId!,
                SandboxId = row.SandboxId!,
                Command = row.Command,
                Cwd = Limits.Workspace,
                TimeoutMs = row.TimeoutMs,
                CreatedAt = clock.GetUtcNow(),
            },
            null, cancellationToken);
        if (insert is not { Added: true })
        {
            // Looked for again, and replaced if it is the run's own.
            throw new RunMovedException(row.Id);
        }
    }

    /// <summary>Runs the command, or goes on with it, until it is final and its output has become events.</summary>
    /// <exception cref="RunFailedException">Its end is not known, and never will be.</exception>
    public async Task RunAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        using var stage = RunStage.Enter(run, "command", clock);
        stage.SetTag("crownest.command_id", run.Row.CommandId);
        var command = await FindAsync(run, cancellationToken);
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var executing = command.IsFinal ? Task.FromResult(command) : ExecuteAsync(run, command, failed.Token);
        var following = output.FollowAsync(run, command, executing, failed.Token);
        try
        {
            await await Task.WhenAny(executing, following);
            var final = await executing;
            if (final.State == CommandStatus.Killed)
            {
                // With its node, perhaps: then nobody knows how much there was.
                await Task.WhenAny(following, Task.Delay(KilledPatience, clock, cancellationToken));
                throw LostEnd(final);
            }

            await following;
            if (final.ExitCode is { } code && run.Row.ExitCode is null)
            {
                await run.SaveExitCodeAsync(code, cancellationToken);
            }

            if (final.State == CommandStatus.Failed)
            {
                throw LostEnd(final);
            }
        }
        finally
        {
            await failed.CancelAsync();
            await Task.WhenAny(Task.WhenAll(executing, following));
        }
    }

    /// <summary>Stops the command if it runs: first it may end by itself, then it has to. An own sandbox ends the rest.</summary>
    public async Task StopAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        if (run.Row.CommandId is not { } id || await commands.FindAsync(id, cancellationToken) is not { IsFinal: false })
        {
            return;
        }

        foreach (var (mode, patience) in new[] { (CancelMode.Graceful, GracefulPatience), (CancelMode.Force, ForcePatience) })
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(patience);
            try
            {
                await execution.CancelAsync(id, mode, limit.Token);
                return;
            }
            catch (WorkerException failure)
            {
                // Not here, or not any more: with its sandbox it ends.
                LogNotStopped(failure, id, run.Id);
                return;
            }
            catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
            {
                LogNotStopped(exception, id, run.Id);
            }
        }
    }

    /// <summary>How the run ends, by the end of its command (docs/reference/api.md 10.2).</summary>
    public async Task<WorkspaceRunEnd> JudgeAsync(ClaimedRun run, CancellationToken cancellationToken)
    {
        var command = await FindAsync(run, cancellationToken);
        var now = clock.GetUtcNow();
        return command switch
        {
            { State: CommandStatus.Exited, ExitCode: 0 } => new WorkspaceRunEnd(WorkspaceRunStatus.Succeeded, now),
            { State: CommandStatus.Exited, ExitCode: { } code } => new WorkspaceRunEnd(
                WorkspaceRunStatus.Failed, now, WorkspaceRunFailure.CommandExit,
                string.Create(CultureInfo.InvariantCulture, $"The command exited with code {code}.")),
            { State: CommandStatus.TimedOut } => new WorkspaceRunEnd(
                WorkspaceRunStatus.Failed, now, WorkspaceRunFailure.Timeout,
                string.Create(CultureInfo.InvariantCulture, $"The command was stopped after {run.Row.TimeoutMs} ms.")),
            { State: CommandStatus.Canceled } => new WorkspaceRunEnd(
                WorkspaceRunStatus.Failed, now, WorkspaceRunFailure.CommandExit, "The command was canceled, and not the run."),
            _ => throw LostEnd(command),
        };
    }

    private async Task<CommandRow> ExecuteAsync(ClaimedRun run, CommandRow command, CancellationToken cancellationToken)
    {
        try
        {
            // An id that is known here is joined; the agent starts nothing that it knows.
            var row = await execution.StartAsync(
                new StartCommand
                {
                    CommandId = command.Id,
                    SandboxId = command.SandboxId,
                    Command = command.Command,
                    Cwd = command.Cwd,
                    TimeoutMs = command.TimeoutMs,
                    WaitMs = (long)Wait.TotalMilliseconds,
                },
                cancellationToken);
            return row is { IsFinal: true } ? row : throw new RunMovedException(run.Id);
        }
        catch (WorkerException failure) when (!live.TryGet(command.SandboxId, out _))
        {
            LogSandboxLost(failure, command.SandboxId, run.Id);
            var standing = await FindAsync(run, cancellationToken);
            return standing.IsFinal ? standing : throw LostEnd(standing);
        }
    }

    private async Task<CommandRow> FindAsync(ClaimedRun run, CancellationToken cancellationToken) =>
        (run.Row.CommandId is { } id ? await commands.FindAsync(id, cancellationToken) : null)
        ?? throw new RunFailedException(WorkspaceRunFailure.InternalError, "The run has lost its command.");

    private static RunFailedException LostEnd(CommandRow command) => new(
        WorkspaceRunFailure.InternalError, command switch
        {
            { State: CommandStatus.Failed, FailureMessage: { } message } => $"The command could not be run: {message}",
            { State: CommandStatus.Killed } => "The sandbox ended while the command ran.",
            _ => "The node that ran the command was lost; a command is never run twice.",
        });

    [LoggerMessage(6440, LogLevel.Warning, "Command {CommandId} of run {RunId} did not stop")]
    private partial void LogNotStopped(Exception exception, string commandId, string runId);

    [LoggerMessage(6441, LogLevel.Warning, "Sandbox {SandboxId} of run {RunId} is not on this node any more")]
    private partial void LogSandboxLost(Exception exception, string sandboxId, string runId);
}
