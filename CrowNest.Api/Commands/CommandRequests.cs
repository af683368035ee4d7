using System.Diagnostics;
using CrowNest.Api.Http;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.Commands;

/// <summary>
/// <c>commands/run</c> and <c>commands/start</c> (docs/reference/api.md 5.2). Once the row is written the command goes its way whatever
/// becomes of the caller; only the end of this process stops the waiting, and then the row tells the next one.
/// </summary>
internal sealed partial class CommandRequests(
    CommandStore store, CommandDelivery delivery, SandboxReadiness readiness, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<CommandRequests> logger)
{
    /// <summary>What the node needs beyond a command's own time: SIGTERM, five seconds, SIGKILL, and the last output.</summary>
    private static readonly TimeSpan EndAllowance = TimeSpan.FromSeconds(15);

    /// <summary>How long <c>start</c> waits for the launch; a node that is away longer gets the command later.</summary>
    private static readonly TimeSpan LaunchWait = TimeSpan.FromSeconds(10);

    /// <summary>Queues the command; the returned task gives its final row.</summary>
    /// <exception cref="ApiException">404, 409 or 410: the sandbox is not there, not ready in time, or gone.</exception>
    public async Task<Task<CommandRow>> RunAsync(
        Ownership owner, string sandboxId, CheckedCommand command, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        var (start, workerId) = await AcceptAsync(owner, sandboxId, command, idempotencyId, answerWaitsForEnd: true, cancellationToken);
        var expected = TimeSpan.FromMilliseconds(command.TimeoutMs!.Value) + EndAllowance;
        return Observed(delivery.RunAsync(workerId, start, expected, lifetime.ApplicationStopping));
    }

    /// <summary>Queues and launches the command; returns its row, which is final when it could not be launched.</summary>
    /// <exception cref="ApiException">As for <see cref="RunAsync"/>.</exception>
    public async Task<CommandRow> StartAsync(
        Ownership owner, string sandboxId, CheckedCommand command, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        var (start, workerId) = await AcceptAsync(owner, sandboxId, command, idempotencyId, answerWaitsForEnd: false, cancellationToken);
        var launching = Observed(delivery.StartAsync(workerId, start, lifetime.ApplicationStopping));
        try
        {
            return await launching.WaitAsync(LaunchWait, time, lifetime.ApplicationStopping);
        }
        catch (TimeoutException) when (!launching.IsCompleted)
        {
            return await GetAsync(start.CommandId, cancellationToken);
        }
    }

    /// <summary>The final row of a command that an earlier attempt queued, whose instance is gone.</summary>
    public Task<CommandRow> ResumeRun(string commandId) => Observed(delivery.FollowAsync(commandId, lifetime.ApplicationStopping));

    /// <summary>The present row of a command.</summary>
    public async Task<CommandRow> GetAsync(string commandId, CancellationToken cancellationToken) =>
        await store.FindAsync(commandId, cancellationToken) ?? throw new UnreachableException($"Command {commandId} has no row.");

    private async Task<(StartCommand Start, string WorkerId)> AcceptAsync(
        Ownership owner, string sandboxId, CheckedCommand command, byte[]? idempotencyId, bool answerWaitsForEnd,
        CancellationToken cancellationToken)
    {
        var id = Ids.New(Ids.Command);
        var workerId = await readiness.AcceptAsync(InsertAsync, cancellationToken);
        Activity.Current?.SetTag("crownest.command_id", id);
        var start = new StartCommand
        {
            CommandId = id,
            SandboxId = sandboxId,
            Command = command.Command,
            Cwd = command.Cwd,
            Env = command.Env,
            TimeoutMs = command.TimeoutMs,
        };
        return (start, workerId);

        async Task<WorkAttempt<string>> InsertAsync()
        {
            var row = new NewCommand
            {
                Id = id,
                SandboxId = sandboxId,
                Command = command.Command,
                Cwd = command.Cwd,
                TimeoutMs = command.TimeoutMs,
                CreatedAt = time.GetUtcNow(),
                Collect = command.Collect,
                AnswerWaitsForEnd = answerWaitsForEnd,
            };
            var insert = await store.InsertAsync(owner, row, idempotencyId, CancellationToken.None) ?? throw ApiException.NotFound("Sandbox");
            return new WorkAttempt<string>(insert.Added ? insert.WorkerId : null, insert.SandboxState);
        }
    }

    /// <summary>Its caller may be gone when it fails.</summary>
    private Task<CommandRow> Observed(Task<CommandRow> task)
    {
        _ = task.ContinueWith(t => LogLost(t.Exception!.GetBaseException()), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted,
            TaskScheduler.Default);
        return task;
    }

    [LoggerMessage(2210, LogLevel.Error, "A command could not be followed to its end.")]
    private partial void LogLost(Exception exception);
}
