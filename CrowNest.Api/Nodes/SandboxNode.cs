using CrowNest.Api.Http;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;

namespace CrowNest.Api.Nodes;

/// <summary>Has a sandbox's node do something for a request, and tells what is the matter when it does not.</summary>
internal sealed partial class SandboxNode(LiveWorkers workers, SandboxStore sandboxes, TimeProvider time, ILogger<SandboxNode> logger)
{
    /// <summary>Above a restart of a worker, and below what a caller takes for an answer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan TryAgainAfter = TimeSpan.FromMilliseconds(100);

    /// <summary>Calls the node. Only a call that the node has not heard of is repeated.</summary>
    /// <exception cref="ApiException">The node's refusal; 410 when the sandbox is gone; 500 when the node is away.</exception>
    public async Task<T> CallAsync<T>(
        string sandboxId, string workerId, Func<LiveWorker, Task<T>> call, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        for (var again = false; ; again = true)
        {
            try
            {
                if (await workers.FindAsync(workerId, again, cancellationToken) is { } worker)
                {
                    return await call(worker);
                }
            }
            catch (WorkerRefusedException e)
            {
                LogRefused(sandboxId, workerId, e.Code, e.Message);
                await ThrowIfGoneAsync(sandboxId, cancellationToken);
                throw NodeRefusals.ToApiException(e);
            }
            catch (WorkerUnreachableException e) when (e.NeverSent)
            {
                LogUnreachable(sandboxId, workerId, e);
            }
            catch (WorkerUnreachableException e)
            {
                LogUnreachable(sandboxId, workerId, e);
                await ThrowIfGoneAsync(sandboxId, cancellationToken);
                throw new ApiException(ErrorCodes.RuntimeError, "The connection to the sandbox's node broke. Try again.");
            }

            await ThrowIfGoneAsync(sandboxId, cancellationToken);
            if (time.GetElapsedTime(began) >= Patience)
            {
                throw new ApiException(ErrorCodes.RuntimeError, "The sandbox's node does not answer.");
            }

            await Task.Delay(TryAgainAfter, time, cancellationToken);
        }
    }

    /// <summary>The stored state, or <c>expiring</c> past the deadline: nothing more is begun then.</summary>
    public static string StateOf(SandboxRow row, DateTimeOffset now) =>
        row.State == SandboxStatus.Ready && row.ExpiresAt <= now ? SandboxStatus.Expiring : row.State;

    private async Task ThrowIfGoneAsync(string sandboxId, CancellationToken cancellationToken)
    {
        if (await sandboxes.FindAsync(sandboxId, cancellationToken) is { } row
            && StateOf(row, time.GetUtcNow()) is var state and not SandboxStatus.Ready)
        {
            throw SandboxReadiness.Gone(state);
        }
    }

    [LoggerMessage(2130, LogLevel.Information, "Sandbox {SandboxId}: node {WorkerId} refused with {Code}: {Reason}")]
    private partial void LogRefused(string sandboxId, string workerId, string code, string reason);

    [LoggerMessage(2131, LogLevel.Warning, "Sandbox {SandboxId}: the connection to node {WorkerId} failed.")]
    private partial void LogUnreachable(string sandboxId, string workerId, Exception exception);
}
