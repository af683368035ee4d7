using System.Data.Common;
using CrowNest.Platform.Data;
using CrowNest.Platform.Objects;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>
/// Removes archives that nothing needs: those of runs that ended long ago, of uploads that were never finalized, and of instances that
/// died between storing one and naming it. Every instance does it; an object may be removed twice.
/// </summary>
internal sealed partial class ArchiveRemoval(
    ArchiveTransferStore transfers, IObjectStore objects, IOptions<WorkspaceRunOptions> options, TimeProvider time,
    ILogger<ArchiveRemoval> logger)
    : BackgroundService
{
    private const string Prefix = "archives/";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.ArchiveRemovalInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await RemoveAsync(stoppingToken);
            }
            catch (Exception e) when (e is DbException or TimeoutException or ObjectStoreException)
            {
                LogFailed(e);
            }
        }
    }

    private async Task RemoveAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var removed = 0;
        string? after = null;
        do
        {
            var page = await objects.ListAsync(Prefix, after, now - options.Value.SpareArchives, ObjectPage.MaxLimit, cancellationToken);
            var keys = page.Objects.Select(o => o.Key).ToList();
            if (keys.Count > 0)
            {
                var runIds = keys.Select(RunOf).OfType<string>().Distinct().ToList();
                var needed = await transfers.ListNeededAsync(keys, runIds, now, now - options.Value.KeepArchives, cancellationToken);
                foreach (var key in keys.Where(k => !needed.Contains(k)))
                {
                    await objects.DeleteAsync(key, cancellationToken);
                    removed++;
                }
            }

            after = page.Next;
        }
        while (after is not null);
        if (removed > 0)
        {
            LogRemoved(removed);
        }
    }

    /// <summary>See <see cref="ObjectKey.RunArchive"/>.</summary>
    private static string? RunOf(string key) => key.Split('/') is [_, _, var runId, _] ? runId : null;

    [LoggerMessage(2520, LogLevel.Information, "Removed {Count} archives that nothing needs.")]
    private partial void LogRemoved(int count);

    [LoggerMessage(2521, LogLevel.Warning, "Archives that nothing needs can not be looked for; the next round tries again.")]
    private partial void LogFailed(Exception exception);
}
