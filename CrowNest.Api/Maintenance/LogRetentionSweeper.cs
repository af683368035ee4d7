using CrowNest.Platform.Commands.Logs;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Deletes output past its plan's retention (docs/reference/api.md 2.16). Runs at the interval of <see cref="UnusedObjectSweeper"/>, which then
/// finds the objects.
/// </summary>
internal sealed partial class LogRetentionSweeper(
    LogRetentionStore store, IOptions<ApiOptions> api, IOptions<ObjectSweepOptions> sweep, TimeProvider time, ILogger<LogRetentionSweeper> logger)
    : Sweeper(sweep.Value.Interval, time, logger)
{
    private const int BatchSize = 500;

    protected override async Task SweepAsync(CancellationToken cancellationToken)
    {
        var now = Time.GetUtcNow();
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
            LogExpired(Logger, expired);
        }

        DateTimeOffset Cutoff(PlanLimits limits) => now - TimeSpan.FromDays(limits.LogRetentionDays);
    }

    [LoggerMessage(2230, LogLevel.Information, "The output of {Count} commands is past its retention and no longer kept.")]
    private static partial void LogExpired(ILogger logger, int count);
}
