using CrowNest.Api.Artifacts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Storage;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Ends artifacts past their retention and exports that never finished, and removes the bytes of tombstones (docs/reference/api.md 7.2).
/// Every instance does it: an object may be removed twice, which is no error. What cannot be removed now is tried again with every round.
/// </summary>
internal sealed partial class ExpiredArtifactSweeper(
    ArtifactStore store, IObjectStore objects, IOptions<ArtifactOptions> options, TimeProvider time, ILogger<ExpiredArtifactSweeper> logger)
    : Sweeper(options.Value.RemovalInterval, time, logger)
{
    private const int BatchSize = 200;

    /// <summary>Removes the bytes of one tombstone; false when storage does not let it now.</summary>
    public async Task<bool> RemoveAsync(string artifactId, string objectKey, CancellationToken cancellationToken)
    {
        try
        {
            await objects.DeleteAsync(objectKey, cancellationToken);
            await store.MarkRemovedAsync(artifactId, Time.GetUtcNow(), cancellationToken);
            return true;
        }
        catch (ObjectStoreException e)
        {
            LogNotRemoved(Logger, artifactId, e);
            return false;
        }
    }

    protected override bool BeginsAtOnce => true;

    protected override async Task SweepAsync(CancellationToken cancellationToken)
    {
        while (await RemoveBatchAsync(cancellationToken))
        {
            // There are more, and storage answers.
        }
    }

    /// <returns>Whether another batch is worth while at once.</returns>
    private async Task<bool> RemoveBatchAsync(CancellationToken cancellationToken)
    {
        var now = Time.GetUtcNow();
        var due = await store.TakeRemovableAsync(now, now - options.Value.AbandonedAfter, BatchSize, cancellationToken);
        var removed = 0;
        foreach (var artifact in due)
        {
            removed += await RemoveAsync(artifact.ArtifactId, artifact.ObjectKey, cancellationToken) ? 1 : 0;
        }

        if (removed > 0)
        {
            LogRemoved(Logger, removed);
        }

        return removed == due.Count && due.Count >= BatchSize;
    }

    [LoggerMessage(2410, LogLevel.Information, "Removed the bytes of {Count} artifacts.")]
    private static partial void LogRemoved(ILogger logger, int count);

    [LoggerMessage(2411, LogLevel.Warning, "Artifact {ArtifactId}: its bytes cannot be removed now; the next round tries again.")]
    private static partial void LogNotRemoved(ILogger logger, string artifactId, Exception exception);
}
