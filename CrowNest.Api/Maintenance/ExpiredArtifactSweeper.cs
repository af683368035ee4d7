using System.Data.Common;
using CrowNest.Api.Artifacts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Storage;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Ends artifacts past their retention and exports that never finished, and removes the bytes of tombstones (api.md 7.2). Every instance
/// does it: an object may be removed twice, which is no error. What can not be removed now is tried again with every round.
/// </summary>
internal sealed partial class ExpiredArtifactSweeper(
    ArtifactStore store, IObjectStore objects, IOptions<ArtifactOptions> options, TimeProvider time, ILogger<ExpiredArtifactSweeper> logger)
    : BackgroundService
{
    private const int BatchSize = 200;

    /// <summary>Removes the bytes of one tombstone; false when storage does not let it now.</summary>
    public async Task<bool> RemoveAsync(string artifactId, string objectKey, CancellationToken cancellationToken)
    {
        try
        {
            await objects.DeleteAsync(objectKey, cancellationToken);
            await store.MarkRemovedAsync(artifactId, time.GetUtcNow(), cancellationToken);
            return true;
        }
        catch (ObjectStoreException e)
        {
            LogNotRemoved(artifactId, e);
            return false;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.RemovalInterval, time);
        do
        {
            try
            {
                while (await RemoveBatchAsync(stoppingToken))
                {
                    // There are more, and storage answers.
                }
            }
            catch (Exception e) when (e is DbException or TimeoutException)
            {
                LogDatabaseAway(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    /// <returns>Whether another batch is worth while at once.</returns>
    private async Task<bool> RemoveBatchAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var due = await store.TakeRemovableAsync(now, now - options.Value.AbandonedAfter, BatchSize, cancellationToken);
        var removed = 0;
        foreach (var artifact in due)
        {
            removed += await RemoveAsync(artifact.ArtifactId, artifact.ObjectKey, cancellationToken) ? 1 : 0;
        }

        if (removed > 0)
        {
            LogRemoved(removed);
        }

        return removed == due.Count && due.Count >= BatchSize;
    }

    [LoggerMessage(2410, LogLevel.Information, "Removed the bytes of {Count} artifacts.")]
    private partial void LogRemoved(int count);

    [LoggerMessage(2411, LogLevel.Warning, "Artifact {ArtifactId}: its bytes can not be removed now; the next round tries again.")]
    private partial void LogNotRemoved(string artifactId, Exception exception);

    [LoggerMessage(2412, LogLevel.Warning, "Artifacts past their retention can not be looked for: the database is away.")]
    private partial void LogDatabaseAway(Exception exception);
}
