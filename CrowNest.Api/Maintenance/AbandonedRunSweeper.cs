using CrowNest.Api.Nodes;
using CrowNest.Api.WorkspaceRuns;
using CrowNest.Platform.Storage;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Ends runs that no worker carries and none will (docs/protocols.md 9), so that none hangs. Every instance does it; each change is
/// conditional, so that they do not disturb each other.
/// </summary>
internal sealed partial class AbandonedRunSweeper(
    NpgsqlDataSource database, WorkspaceRunStore runs, AbandonedRunCompletion ending, IOptions<WorkspaceRunOptions> options,
    IOptions<FleetOptions> fleet, TimeProvider time, ILogger<AbandonedRunSweeper> logger)
    : LapsedLeaseSweeper(database, options.Value.SweepInterval, fleet.Value.OutageGrace, time, logger)
{
    private const int BatchSize = 100;

    protected override async Task CloseLapsedAsync(CancellationToken cancellationToken)
    {
        var now = Time.GetUtcNow();
        var abandoned = await runs.ListAbandonedAsync(
            now - options.Value.UploadWithin, now - options.Value.StartWithin, now - options.Value.UnclaimedAfter, BatchSize,
            cancellationToken);
        foreach (var id in abandoned)
        {
            if (await runs.FindAsync(id, cancellationToken) is not { ClosedAt: null } run)
            {
                continue;
            }

            try
            {
                await ending.EndAbandonedAsync(run, cancellationToken);
            }
            catch (ObjectStoreException e)
            {
                // The others would wait for the same store.
                LogEvidenceWaits(Logger, id, e);
                return;
            }
            catch (Exception e) when (e is not (NpgsqlException or TimeoutException or OperationCanceledException))
            {
                // One run that cannot be ended must neither keep the others from it nor stop the process.
                LogStuck(Logger, id, e);
            }
        }
    }

    [LoggerMessage(2542, LogLevel.Error, "Run {RunId} cannot be ended; the next round tries again.")]
    private static partial void LogStuck(ILogger logger, string runId, Exception exception);

    [LoggerMessage(2541, LogLevel.Warning, "Run {RunId}: its evidence cannot be stored now; the next round tries again.")]
    private static partial void LogEvidenceWaits(ILogger logger, string runId, Exception exception);
}
