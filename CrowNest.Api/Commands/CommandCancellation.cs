using System.Diagnostics;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Sandboxes;

namespace CrowNest.Api.Commands;

/// <summary><c>POST /v1/commands/{id}/cancel</c> (docs/reference/api.md 5.5).</summary>
internal sealed partial class CommandCancellation(
    CommandStore commands, SandboxStore sandboxes, LiveWorkers workers, NodeClient client, IHostApplicationLifetime lifetime,
    TimeProvider time, ILogger<CommandCancellation> logger)
{
    /// <summary>Above the ten seconds of a graceful cancel and the lease of a node that dies meanwhile.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(40);

    private static readonly TimeSpan TryAgainAfter = TimeSpan.FromMilliseconds(200);

    /// <summary>Ends the command and returns its final row. One that is final already is returned unchanged.</summary>
    public async Task<CommandRow> CancelAsync(CommandRow row, string mode)
    {
        // The cancel goes on when its caller leaves: half a cancel helps nobody.
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
        limit.CancelAfter(Limit);
        var again = false;
        try
        {
            while (!row.IsFinal)
            {
                if (await TryCancelAsync(row, mode, again, limit.Token) is { IsFinal: true } final)
                {
                    return final;
                }

                again = true;
                await Task.Delay(TryAgainAfter, time, limit.Token);
                row = await commands.FindAsync(row.Id, limit.Token) ?? throw new UnreachableException($"Command {row.Id} has no row.");
            }

            return row;
        }
        catch (OperationCanceledException) when (!lifetime.ApplicationStopping.IsCancellationRequested)
        {
            throw new ApiException(ErrorCodes.RuntimeError, "The sandbox's node has not confirmed the end of the command.");
        }
    }

    private async Task<CommandRow?> TryCancelAsync(CommandRow row, string mode, bool again, CancellationToken cancellationToken)
    {
        var sandbox = await sandboxes.FindAsync(row.SandboxId, cancellationToken);
        if (sandbox?.WorkerId is not { } workerId || await workers.FindAsync(workerId, again, cancellationToken) is not { } worker)
        {
            return null;
        }

        try
        {
            return await client.CancelCommandAsync(worker, row.Id, mode, cancellationToken);
        }
        catch (Exception e) when (e is WorkerRefusedException or WorkerUnreachableException)
        {
            LogFailed(row.Id, workerId, e);
            return null;
        }
    }

    [LoggerMessage(2220, LogLevel.Warning, "Command {CommandId}: node {WorkerId} could not be asked to cancel it.")]
    private partial void LogFailed(string commandId, string workerId, Exception exception);
}
