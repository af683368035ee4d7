using CrowNest.Api.Http;

namespace CrowNest.Api.Maintenance;

/// <summary>Deletes idempotency records after 24 hours (docs/reference/api.md 2.8).</summary>
internal sealed partial class IdempotencySweeper(IdempotencyStore store, TimeProvider time, ILogger<IdempotencySweeper> logger)
    : Sweeper(Interval, time, logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(10);

    protected override bool BeginsAtOnce => true;

    protected override async Task SweepAsync(CancellationToken cancellationToken) =>
        LogDeleted(Logger, await store.DeleteExpiredAsync(cancellationToken));

    [LoggerMessage(1203, LogLevel.Debug, "Deleted {Count} idempotency records.")]
    private static partial void LogDeleted(ILogger logger, int count);
}
