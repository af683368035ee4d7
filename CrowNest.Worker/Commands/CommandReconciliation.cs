using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Commands.Output;
using CrowNest.Worker.Sandboxes;
using Npgsql;

namespace CrowNest.Worker.Commands;

/// <summary>
/// Brings together what the rows, the agents and the spools say: when a restarted worker finds a sandbox again, and from time to time, so
/// that nothing stays open or on disk forever, whoever died when.
/// </summary>
internal sealed partial class CommandReconciliation(
    string workerId, CommandRunner execution, LogArchiver finished, SpoolFolder spools, CommandStore commands, CommandLogWriter writer,
    OutputTaps taps, LiveSandboxes sandboxes, TimeProvider clock, ILogger<CommandReconciliation> logger) : BackgroundService, IAdoptedSandboxObserver
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);

    /// <summary>How long the API tries to deliver a queued command, and a margin; after that nobody will.</summary>
    internal static readonly TimeSpan UndeliveredAfter = TimeSpan.FromSeconds(60);

    public async Task OnAdoptedAsync(LiveSandbox sandbox, CancellationToken cancellationToken)
    {
        var rows = await commands.ListActiveOfWorkerAsync(workerId, cancellationToken);
        await ReconcileAsync(sandbox, [.. rows.Where(row => row.SandboxId == sandbox.Id)], cancellationToken);
    }

    /// <summary>One round over all rows and spools of this node.</summary>
    internal async Task ReconcileAsync(CancellationToken cancellationToken)
    {
        foreach (var commandId in spools.CommandIds.Where(id => !execution.IsRunning(id) && !finished.IsKeeping(id)).ToList())
        {
            await KeepAsync(commandId, cancellationToken);
        }

        var open = (await commands.ListActiveOfWorkerAsync(workerId, cancellationToken)).Where(row => !execution.IsRunning(row.Id));
        foreach (var rows in open.GroupBy(row => row.SandboxId))
        {
            // A sandbox that is not live is on its way in or out: its own change of state takes its commands along.
            if (sandboxes.TryGet(rows.Key, out var sandbox))
            {
                await ReconcileAsync(sandbox, [.. rows], cancellationToken);
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, clock);
        try
        {
            do
            {
                await TryReconcileAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The worker stops.
        }
    }

    private async Task TryReconcileAsync(CancellationToken cancellationToken)
    {
        try
        {
            await ReconcileAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException or IOException)
        {
            LogRoundFailed(exception);
        }
    }

    private async Task ReconcileAsync(LiveSandbox sandbox, List<CommandRow> rows, CancellationToken cancellationToken)
    {
        foreach (var row in rows.Where(row => row.IsFinal))
        {
            // Read again, as below; the list has no output either.
            if (await commands.FindAsync(row.Id, cancellationToken) is { CollectStatus: CollectStatus.Pending } uncollected)
            {
                execution.Resume(uncollected, sandbox);
            }
        }

        IReadOnlyList<AgentCommandState> states;
        try
        {
            states = await sandbox.Agent.ListCommandsAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is AgentUnavailableException or AgentErrorException)
        {
            LogAgentSilent(exception, sandbox.Id);
            sandboxes.Suspect(sandbox.Id);
            return;
        }

        foreach (var row in rows.Where(row => !row.IsFinal))
        {
            var state = states.FirstOrDefault(s => s.Id == row.Id);
            if (state is null && clock.GetUtcNow() - row.CreatedAt < UndeliveredAfter && row.State == CommandStatus.Queued)
            {
                // The API is still about to deliver it.
                continue;
            }

            // Read again: the list is older than the agent's answer, and the command may have ended in between.
            if (await commands.FindAsync(row.Id, cancellationToken) is { IsFinal: false } open)
            {
                execution.Adopt(open, sandbox, state);
            }
        }

        foreach (var state in states.Where(s => !execution.IsRunning(s.Id) && rows.All(row => row.Id != s.Id)))
        {
            await ForgetAsync(sandbox, state, cancellationToken);
        }
    }

    /// <summary>The row is final, but the agent still has the command: a former process did not get to telling it.</summary>
    private async Task ForgetAsync(LiveSandbox sandbox, AgentCommandState state, CancellationToken cancellationToken)
    {
        if (await commands.FindAsync(state.Id, cancellationToken) is not { IsFinal: true })
        {
            return;
        }

        try
        {
            if (state.HasEnded)
            {
                await sandbox.Agent.DeleteCommandAsync(state.Id, cancellationToken);
            }
            else
            {
                await sandbox.Agent.CancelAsync(state.Id, CancelMode.Force, graceMs: null, cancellationToken);
            }
        }
        catch (Exception exception) when (exception is AgentUnavailableException or AgentErrorException)
        {
            LogAgentSilent(exception, sandbox.Id);
        }
    }

    /// <summary>A spool that nobody works on: of a final command its log is kept, of an unknown one it is removed.</summary>
    private async Task KeepAsync(string commandId, CancellationToken cancellationToken)
    {
        var row = await commands.FindAsync(commandId, cancellationToken);
        if (row is { IsFinal: false } or { CollectStatus: CollectStatus.Pending })
        {
            // In the second case the collection comes first, or the end of its sandbox, which closes it.
            return;
        }

        var capture = new OutputCapture();
        var output = CommandOutput.Open(commandId, spools.PathOf(commandId), capture, writer, taps, clock, logger);
        if (row is null)
        {
            LogUnknownSpool(commandId);
            await output.DisposeAsync();
            output.Spool.Delete();
            return;
        }

        if (row.Stdout is null)
        {
            await commands.SaveOutputAsync(
                commandId,
                new CommandEnd
                {
                    State = row.State,
                    FinishedAt = row.FinishedAt!.Value,
                    Stdout = capture.Stdout,
                    Stderr = capture.Stderr,
                    StdoutTruncated = capture.StdoutTruncated,
                    StderrTruncated = capture.StderrTruncated,
                    OldestSeq = output.Spool.OldestSeq,
                    LastSeq = output.Spool.LastSeq,
                },
                cancellationToken);
        }

        finished.Keep(row, output, execution.Stopping);
    }

    [LoggerMessage(6151, LogLevel.Warning, "Reconciling commands failed; the next round tries again")]
    private partial void LogRoundFailed(Exception exception);

    [LoggerMessage(6152, LogLevel.Warning, "The agent of {SandboxId} does not tell its commands")]
    private partial void LogAgentSilent(Exception exception, string sandboxId);

    [LoggerMessage(6153, LogLevel.Warning, "Removed the spool of {CommandId}, which has no row")]
    private partial void LogUnknownSpool(string commandId);
}
