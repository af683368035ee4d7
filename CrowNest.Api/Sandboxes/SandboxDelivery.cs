using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;

namespace CrowNest.Api.Sandboxes;

/// <summary>Takes a <c>creating</c> row to a node, and to the next one when that refuses.</summary>
internal sealed partial class SandboxDelivery(SandboxStore store, NodeClient client, TimeProvider time, ILogger<SandboxDelivery> logger)
{
    /// <summary>Above every wait of a caller: a node that hangs for longer has lost its lease or the sandbox.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(25);

    /// <summary>
    /// Runs to its end whatever becomes of the caller: a sandbox whose create was abandoned must not stay half made.
    /// </summary>
    /// <returns>What the node said, or null when somebody else moved the row on: the row then tells.</returns>
    public async Task<SandboxStarted?> RunAsync(StartSandbox start, IReadOnlyList<LiveWorker> nodes)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        var refusals = new List<WorkerRefusedException>();
        try
        {
            foreach (var node in nodes)
            {
                try
                {
                    return await client.StartSandboxAsync(node, start, limit.Token);
                }
                catch (WorkerRefusedException e)
                {
                    LogRefused(start.SandboxId, node.Id, e.Code, e.Message);
                    refusals.Add(e);
                }
                catch (WorkerUnreachableException e)
                {
                    LogUnreachable(start.SandboxId, node.Id, e);
                }

                // A node that took it on and then failed has said so in the row.
                if (await store.FindAsync(start.SandboxId, limit.Token) is not { State: SandboxStatus.Creating })
                {
                    return null;
                }
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            LogHangs(start.SandboxId);
            return null;
        }

        return await GiveUpAsync(start, nodes, refusals);
    }

    /// <summary>Waits while the sandbox is being made; for as long as <paramref name="wait"/>.</summary>
    public async Task<SandboxRow> FollowAsync(string id, TimeSpan wait, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            var row = await store.FindAsync(id, cancellationToken) ?? throw new InvalidOperationException($"Sandbox {id} has no row.");
            if (row is { State: SandboxStatus.Expiring, WorkerId: null })
            {
                // Killed before any node took it on: none will, and there is nothing to clean up.
                await store.MarkDestroyedAsync(id, time.GetUtcNow(), cancellationToken);
                continue;
            }

            if (row.State is not (SandboxStatus.Creating or SandboxStatus.Starting) || time.GetElapsedTime(began) >= wait)
            {
                return row;
            }

            await Task.Delay(PollInterval, time, cancellationToken);
        }
    }

    private async Task<SandboxStarted?> GiveUpAsync(
        StartSandbox start, IReadOnlyList<LiveWorker> nodes, List<WorkerRefusedException> refusals)
    {
        var full = refusals.Count == nodes.Count && refusals.TrueForAll(r => r.Code == ErrorCodes.QuotaExceeded);
        var message = full ? "Every node is full: kill a sandbox or add a node."
            : refusals is [.., { Code: not ErrorCodes.QuotaExceeded } last] ? $"No node could start the sandbox: {last.Message}"
            : "No node could start the sandbox: those that are not full do not answer.";
        if (!await store.MarkFailedAsync(start.SandboxId, message, time.GetUtcNow(), CancellationToken.None))
        {
            return null;
        }

        throw new ApiException(full ? ErrorCodes.QuotaExceeded : ErrorCodes.RuntimeError, message, full ? Load(nodes) : null);
    }

    private static JsonObject Load(IReadOnlyList<LiveWorker> nodes)
    {
        var details = new JsonObject { ["quota"] = "node_capacity" };
        if (nodes.All(n => n.Snapshot is not null))
        {
            details["limit"] = nodes.Sum(n => n.Snapshot!.Capacity);
            details["current"] = nodes.Sum(n => n.Snapshot!.Running);
        }

        return details;
    }

    [LoggerMessage(2000, LogLevel.Information, "Sandbox {SandboxId}: node {WorkerId} refused with {Code}: {Reason}")]
    private partial void LogRefused(string sandboxId, string workerId, string code, string reason);

    [LoggerMessage(2001, LogLevel.Warning, "Sandbox {SandboxId}: node {WorkerId} does not answer.")]
    private partial void LogUnreachable(string sandboxId, string workerId, Exception exception);

    [LoggerMessage(2002, LogLevel.Warning, "Sandbox {SandboxId}: its node has not finished starting it for two minutes.")]
    private partial void LogHangs(string sandboxId);
}
