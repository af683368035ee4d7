using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Storage;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.WorkspaceRuns.Archives;

/// <summary>
/// The direct upload of an archive (docs/reference/api.md 10.4), and what the staged one shares with it: bytes go straight into object
/// storage, every upload under a key of its own, and the run's row takes one of them.
/// </summary>
internal sealed partial class ArchiveUpload(
    WorkspaceRunStore runs, IObjectStore objects, Transfers transfers, RunSignals notices, IOptions<WorkspaceRunOptions> options,
    TimeProvider time, ILogger<ArchiveUpload> logger)
{
    /// <summary>Events of a run beyond which its repeated uploads are no longer told of one by one.</summary>
    private const long MostTold = 64;

    /// <summary>Takes the request's body as the archive of the run.</summary>
    public async Task<WorkspaceRunRow> UploadAsync(WorkspaceRunRow run, HttpContext context)
    {
        var announced = ArchiveRules.ReadHeaders(context.Request, options.Value.MaxDirectArchiveBytes);
        if (run.Status != WorkspaceRunStatus.AwaitingArchive)
        {
            return announced.IsArchiveOf(run) ? run : throw ArchiveRules.Conflict(run);
        }

        var (key, _) = await StoreAsync(run, context, announced.SizeBytes, announced.Sha256);
        return await AcceptAsync(run, announced, key, tellProgress: true);
    }

    /// <summary>Stores the request's body under a new key.</summary>
    /// <param name="sha256">Digest that it must have, or null.</param>
    public async Task<(string Key, ObjectDigest Digest)> StoreAsync(
        WorkspaceRunRow run, HttpContext context, long sizeBytes, string? sha256)
    {
        var key = ObjectKey.RunArchive(run.OrgId, run.Id, Ids.New("up"));
        await using var content = new ArchiveContent(context, transfers, sizeBytes, sha256)
        {
            Progress = received => TellAsync(run.Id, received, sizeBytes),
        };
        try
        {
            var digest = await objects.PutAsync(key, content, sizeBytes, context.RequestAborted);
            // The content has found that out before, unless the store has not read it to its end.
            return sha256 is null || digest.Sha256 == sha256
                ? (key, digest)
                : throw new ObjectStoreException($"{key} was stored as other bytes than were sent.");
        }
        catch (ObjectStoreException e)
        {
            LogNotStored(run.Id, e);
            await RemoveAsync(key);
            throw new ApiException(
                ErrorCodes.RuntimeError, "The archive cannot be stored at the moment: object storage does not answer. Try again.");
        }
    }

    /// <summary>Makes a stored object the run's archive. When another upload was first, its archive stands and the object goes.</summary>
    public async Task<WorkspaceRunRow> AcceptAsync(WorkspaceRunRow run, AnnouncedArchive archive, string key, bool tellProgress)
    {
        var now = time.GetUtcNow();
        var uploaded = RunEventFactory.Status(WorkspaceRunStatus.ArchiveUploaded, now);
        WorkspaceRunEvent[] told =
            tellProgress ? [RunEventFactory.Progress(archive.SizeBytes, archive.SizeBytes, now), uploaded] : [uploaded];
        // The bytes are here: whether the client still waits changes nothing.
        var row = await runs.MarkArchiveUploadedAsync(
            run.Id, archive.Sha256, archive.SizeBytes, key, now, told, CancellationToken.None);
        if (row is not null)
        {
            await notices.ChangedAsync(run.Id);
            return row;
        }

        var current = await runs.FindAsync(run.Id, CancellationToken.None) ?? throw ApiException.NotFound("Workspace run");
        if (current.ArchiveKey != key)
        {
            // Two that finalize the same upload mean the same object.
            await RemoveAsync(key);
        }

        return archive.IsArchiveOf(current) ? current : throw ArchiveRules.Conflict(current);
    }

    /// <summary>Tells that bytes have arrived, unless the run has been told too much of that already.</summary>
    public async Task TellAsync(string runId, long receivedBytes, long sizeBytes)
    {
        if (await runs.FindAsync(runId, CancellationToken.None) is { Status: WorkspaceRunStatus.AwaitingArchive, LastSeq: < MostTold }
            && await runs.AppendAsync(
                runId, workerId: null, [RunEventFactory.Progress(receivedBytes, sizeBytes, time.GetUtcNow())], CancellationToken.None) is not null)
        {
            await notices.ChangedAsync(runId);
        }
    }

    /// <summary>Removes bytes that nothing names any more; what storage keeps now goes with <see cref="Maintenance.UnusedObjectSweeper"/>.</summary>
    public async Task RemoveAsync(string key)
    {
        try
        {
            await objects.DeleteAsync(key, CancellationToken.None);
        }
        catch (ObjectStoreException e)
        {
            LogNotRemoved(key, e);
        }
    }

    [LoggerMessage(2510, LogLevel.Warning, "Run {RunId}: its archive cannot be stored.")]
    private partial void LogNotStored(string runId, Exception exception);

    [LoggerMessage(2511, LogLevel.Warning, "{Key} cannot be removed now; a later round does it.")]
    private partial void LogNotRemoved(string key, Exception exception);
}
