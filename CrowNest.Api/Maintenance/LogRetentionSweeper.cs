using System.Data.Common;
using CrowNest.Platform.Commands.Logs;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Lets go of output that its plan keeps no longer (api.md 2.16). Every instance does it. It is as often as the sweep, which then finds
/// the objects.
/// </summary>
internal sealed partial class LogRetentionSweeper(
    LogRetentionStore store, IOptions<ApiOptions> api, IOptions<ObjectSweepOptions> sweep, TimeProvider time, ILogger<LogRetentionSweeper> logger)
    : BackgroundService
{
    private const int BatchSize = 500;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(sweep.Value.Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await ExpireAsync(stoppingToken);
            }
            catch (Exception e) when (e is DbException or TimeoutException)
            {
                LogDatabaseAway(e);
            }
        }
    }

    private async Task ExpireAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var plans = api.Value.Plans.Select(p => new LogCutoff(p.Key, Cutoff(p.Value))).ToList();
        var others = Cutoff(api.Value.Plans[PlanLimits.Free]);
        int batch, expired = 0;
        do
        {
            batch = await store.ExpireAsync(plans, others, BatchSize, cancellationToken);
            expired += batch;
        }
        while (batch == BatchSize);
        if (expired > 0)
        {
            LogExpired(expired);
        }

        DateTimeOffset Cutoff(PlanLimits limits) => now - TimeSpan.FromDays(limits.LogRetentionDays);
    }

    [LoggerMessage(2230, LogLevel.Information, "The output of {Count} commands is past its retention and no longer kept.")]
    private partial void LogExpired(int count);

    [LoggerMessage(2231, LogLevel.Warning, "Output past its retention can not be looked for: the database is away.")]
    private partial void LogDatabaseAway(Exception exception);
}
