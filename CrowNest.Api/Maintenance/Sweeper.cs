using System.Data.Common;
using CrowNest.Platform.Storage;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Work that comes again with every interval. Every instance of the API does it, so each change is conditional or may be made twice. A
/// database or an object store that is away ends the round with one warning; the next round tries again.
/// </summary>
internal abstract partial class Sweeper(TimeSpan interval, TimeProvider time, ILogger logger) : BackgroundService
{
    protected TimeProvider Time => time;

    protected ILogger Logger => logger;

    /// <summary>Whether the first round is at the start of the process, and not an interval later.</summary>
    protected virtual bool BeginsAtOnce => false;

    protected abstract Task SweepAsync(CancellationToken cancellationToken);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        if (BeginsAtOnce)
        {
            await SweepOnceAsync(stoppingToken);
        }

        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await SweepOnceAsync(stoppingToken);
        }
    }

    private async Task SweepOnceAsync(CancellationToken cancellationToken)
    {
        try
        {
            await SweepAsync(cancellationToken);
        }
        catch (Exception e) when (e is DbException or TimeoutException or ObjectStoreException)
        {
            LogAway(logger, GetType().Name, e);
        }
    }

    [LoggerMessage(2190, LogLevel.Warning, "{Sweeper} could not finish its round: what it needs is away. The next round tries again.")]
    private static partial void LogAway(ILogger logger, string sweeper, Exception exception);
}
