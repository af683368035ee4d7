using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.WorkspaceRuns.Archives;

/// <summary>The staged upload of an archive (docs/reference/api.md 10.5): announce, send as often as needed, finalize.</summary>
internal sealed class ArchiveStaging(
    ArchiveTransferStore transfers, WorkspaceRunStore runs, ArchiveUpload upload, PublicUrls urls, IOptions<WorkspaceRunOptions> options,
    TimeProvider time)
{
    public async Task<ArchiveTransfer> CreateAsync(WorkspaceRunRow run, ArchiveTransferRequest body, CancellationToken cancellationToken)
    {
        var announced = ArchiveRules.ReadBody(body, options.Value.MaxArchiveBytes);
        if (run.Status != WorkspaceRunStatus.AwaitingArchive)
        {
            throw ArchiveRules.Conflict(run);
        }

        var now = time.GetUtcNow();
        var row = await transfers.InsertAsync(
            Ids.New(Ids.Upload), run.Id, announced.Sha256, announced.SizeBytes, now,
            now + options.Value.TransferLifetime, cancellationToken);
        return ToTransfer(row);
    }

    /// <summary>Takes the request's body; the last one that arrives whole counts.</summary>
    public async Task UploadAsync(WorkspaceRunRow run, string uploadId, HttpContext context)
    {
        var began = time.GetUtcNow();
        var transfer = await FindAsync(run, uploadId, context.RequestAborted);
        DemandOpen(transfer, run, began);
        ArchiveRules.CheckLength(context.Request, transfer.SizeBytes, options.Value.MaxArchiveBytes);
        var (key, digest) = await upload.StoreAsync(run, context, transfer.SizeBytes, sha256: null);
        var until = time.GetUtcNow() + options.Value.TransferLifetime;
        var replaced = await transfers.MarkUploadedAsync(
            uploadId, key, digest.Sha256, digest.Length, began, until, CancellationToken.None);
        if (replaced is not null)
        {
            if (replaced.Length > 0)
            {
                await upload.RemoveAsync(replaced);
            }

            await upload.TellAsync(run.Id, digest.Length, transfer.SizeBytes);
            return;
        }

        // Canceled while the bytes came, for example.
        await upload.RemoveAsync(key);
        var current = await runs.FindAsync(run.Id, CancellationToken.None) ?? throw ApiException.NotFound("Workspace run");
        DemandOpen(await FindAsync(current, uploadId, CancellationToken.None), current, began);
        throw ArchiveRules.Conflict(current);
    }

    /// <summary>Makes the bytes of a transfer the run's archive, if they are what was announced and what is expected now.</summary>
    public async Task<WorkspaceRunRow> FinalizeAsync(WorkspaceRunRow run, ArchiveTransferRequest body, CancellationToken cancellationToken)
    {
        var expected = ArchiveRules.ReadBody(body, options.Value.MaxArchiveBytes);
        var uploadId = body.UploadId ?? throw ApiException.InvalidField("uploadId", "'uploadId' is required.");
        var transfer = await FindAsync(run, uploadId, cancellationToken);
        var isRepeated = transfer.Status == ArchiveTransferStatus.Finalized;
        if (run.Status != WorkspaceRunStatus.AwaitingArchive)
        {
            // An answer that was lost is given again.
            return isRepeated && expected.IsArchiveOf(run) ? run : throw ArchiveRules.Conflict(run);
        }

        if (!isRepeated)
        {
            DemandOpen(transfer, run, time.GetUtcNow());
        }

        if (transfer is not { ObjectKey: { } key, ReceivedSha256: { } receivedSha256, ReceivedBytes: { } receivedBytes })
        {
            throw new ApiException(ErrorCodes.UploadIncomplete, "No bytes have arrived for this upload yet.");
        }

        Compare(expected, receivedSha256, receivedBytes);
        Compare(new AnnouncedArchive(transfer.Sha256, transfer.SizeBytes), receivedSha256, receivedBytes);
        // First, so that no later upload takes these bytes away. A process that dies behind it has done half, which a repetition completes.
        if (!await transfers.MarkFinalizedAsync(uploadId, key, CancellationToken.None))
        {
            throw new ApiException(ErrorCodes.UploadConflict, "Other bytes have arrived for this upload meanwhile: finalize again.");
        }

        return await upload.AcceptAsync(run, expected, key, tellProgress: false);
    }

    private async Task<ArchiveTransferRow> FindAsync(WorkspaceRunRow run, string uploadId, CancellationToken cancellationToken) =>
        (Ids.IsValid(uploadId, Ids.Upload) ? await transfers.FindAsync(run.Id, uploadId, cancellationToken) : null)
        ?? throw new ApiException(ErrorCodes.UploadNotFound, "The run has no such upload.");

    private static void DemandOpen(ArchiveTransferRow transfer, WorkspaceRunRow run, DateTimeOffset now)
    {
        if (transfer.Status == ArchiveTransferStatus.Finalized)
        {
            throw new ApiException(
                ErrorCodes.UploadConflict, "The upload is finalized.", new JsonObject { ["status"] = transfer.Status });
        }

        if (transfer.Status == ArchiveTransferStatus.Expired || transfer.ExpiresAt <= now)
        {
            throw new ApiException(ErrorCodes.UploadExpired, "The upload has expired or was superseded: create a new one.");
        }

        if (run.Status != WorkspaceRunStatus.AwaitingArchive)
        {
            throw ArchiveRules.Conflict(run);
        }
    }

    private static void Compare(AnnouncedArchive expected, string receivedSha256, long receivedBytes)
    {
        if (receivedBytes != expected.SizeBytes)
        {
            throw ArchiveRules.SizeMismatch(expected.SizeBytes, receivedBytes);
        }

        if (receivedSha256 != expected.Sha256)
        {
            throw ArchiveRules.ChecksumMismatch(expected.Sha256, receivedSha256);
        }
    }

    private ArchiveTransfer ToTransfer(ArchiveTransferRow row) => new()
    {
        Id = row.Id,
        WorkspaceRunId = row.RunId,
        Status = row.Status,
        Method = HttpMethods.Put,
        UploadUrl = urls.Link($"/v1/workspace-runs/{row.RunId}/archive-transfer/{row.Id}"),
        Headers = new Dictionary<string, string>
        {
            ["content-type"] = ArchiveRules.ContentType,
            ["content-length"] = row.SizeBytes.ToString(System.Globalization.CultureInfo.InvariantCulture),
        },
        ChecksumAlgorithm = "sha256",
        MaxSizeBytes = options.Value.MaxArchiveBytes,
        ExpiresAt = row.ExpiresAt,
    };
}
