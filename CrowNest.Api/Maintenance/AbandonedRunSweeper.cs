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
    : BackgroundService
{
    private const int BatchSize = 100;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.SweepInterval, time);
        // A database that was away made every lease lapse (see LostSandboxSweeper).
        DateTimeOffset? answersSince = null;
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await using var ping = database.CreateCommand("SELECT 1");
                await ping.ExecuteScalarAsync(stoppingToken);
                answersSince ??= time.GetUtcNow();
                if (time.GetUtcNow() - answersSince >= fleet.Value.OutageGrace)
                {
                    await SweepAsync(stoppingToken);
                }
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                answersSince = null;
                LogDatabaseAway(e);
            }
        }
    }

    private async Task SweepAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
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
                LogEvidenceWaits(id, e);
                return;
            }
            catch (Exception e) when (e is not (NpgsqlException or TimeoutException or OperationCanceledException))
            {
                // One run that can not be ended must neither keep the others from it nor stop the process.
                LogStuck(id, e);
            }
        }
    }

    [LoggerMessage(2540, LogLevel.Warning, "Abandoned runs can not be looked for: the database is away.")]
    private partial void LogDatabaseAway(Exception exception);

    [LoggerMessage(2542, LogLevel.Error, "Run {RunId} can not be ended; the next round tries again.")]
    private partial void LogStuck(string runId, Exception exception);

    [LoggerMessage(2541, LogLevel.Warning, "Run {RunId}: its evidence can not be stored now; the next round tries again.")]
    private partial void LogEvidenceWaits(string runId, Exception exception);
}
