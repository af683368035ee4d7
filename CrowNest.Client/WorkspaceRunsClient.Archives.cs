using System.Security.Cryptography;
using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>Archives, and a whole run in one call.</summary>
public sealed partial class WorkspaceRunsClient
{
    /// <summary>Largest archive that <see cref="RunAsync"/> uploads directly (docs/reference/api.md 10.4), in bytes.</summary>
    private const long DirectBytes = 8 * 1024 * 1024;

    private const string Gzip = "application/gzip";

    /// <summary>How long <see cref="RunAsync"/> tries to cancel what its caller gave up.</summary>
    private static readonly TimeSpan CancelPatience = TimeSpan.FromSeconds(10);

    /// <summary>Digest and size of an archive, which every upload announces.</summary>
    /// <param name="archive">Read from its present position, to which it returns.</param>
    /// <exception cref="ArgumentException">It cannot be read twice.</exception>
    public static async Task<WorkspaceRunArchive> DescribeAsync(Stream archive, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(archive);
        if (!archive.CanSeek)
            throw new ArgumentException(
                "The archive is read twice, for its digest and for its upload: it must be seekable.", nameof(archive));
        var start = archive.Position;
        var sha256 = Convert.ToHexStringLower(await SHA256.HashDataAsync(archive, cancellationToken));
        var described = new WorkspaceRunArchive(sha256, archive.Position - start);
        archive.Position = start;
        return described;
    }

    /// <summary>Uploads a small archive in one request.</summary>
    /// <param name="archive">A tar in gzip; read from its present position, stays the caller's.</param>
    /// <param name="described">What <see cref="DescribeAsync"/> says of it.</param>
    public Task<WorkspaceRunArchiveResponse> UploadArchiveAsync(
        string runId, Stream archive, WorkspaceRunArchive described, string? idempotencyKey = null,
        CancellationToken cancellationToken = default) =>
        _transport.UploadAsync<WorkspaceRunArchiveResponse>(
            PathOf(runId) + "/archive", archive, Gzip, cancellationToken, IdempotencyKey.Or(idempotencyKey),
            ("x-crownest-archive-sha256", described.Sha256),
            ("x-crownest-archive-size", described.SizeBytes.ToString(System.Globalization.CultureInfo.InvariantCulture)));

    /// <summary>Announces an archive of any size.</summary>
    public async Task<ArchiveTransfer> CreateArchiveTransferAsync(
        string runId, WorkspaceRunArchive described, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        (await _transport.SendAsync<ArchiveTransferResponse>(
            HttpMethod.Post, PathOf(runId) + "/archive-transfer",
            new ArchiveTransferRequest { Sha256 = described.Sha256, SizeBytes = described.SizeBytes }, IdempotencyKey.Or(idempotencyKey),
            cancellationToken)).Transfer;

    /// <summary>Sends an announced archive; the last one sent counts.</summary>
    /// <param name="archive">Read from its present position, stays the caller's.</param>
    public Task UploadArchiveToTransferAsync(ArchiveTransfer transfer, Stream archive, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(transfer);
        return _transport.UploadToAsync(new Uri(transfer.UploadUrl), archive, transfer.Headers, cancellationToken);
    }

    /// <summary>Makes what was sent the run's archive.</summary>
    public Task<WorkspaceRunArchiveResponse> FinalizeArchiveAsync(
        string runId, string uploadId, WorkspaceRunArchive described, string? idempotencyKey = null,
        CancellationToken cancellationToken = default) =>
        _transport.SendAsync<WorkspaceRunArchiveResponse>(
            HttpMethod.Post, PathOf(runId) + "/archive/finalize",
            new ArchiveTransferRequest { Sha256 = described.Sha256, SizeBytes = described.SizeBytes, UploadId = uploadId },
            IdempotencyKey.Or(idempotencyKey), cancellationToken);

    /// <summary>
    /// Does all of it: creates the run, uploads the archive, starts, follows to the end. A command that fails is a run that fails, not an
    /// exception. When the caller gives up, the run is canceled.
    /// </summary>
    /// <param name="archive">A tar in gzip, seekable; read from its present position, stays the caller's.</param>
    /// <param name="onEvent">Sees every event of the run, in order.</param>
    /// <returns>The final run; its evidence can be read.</returns>
    public async Task<WorkspaceRun> RunAsync(
        CreateWorkspaceRunRequest request, Stream archive, Action<WorkspaceRunEvent>? onEvent = null,
        CancellationToken cancellationToken = default)
    {
        var described = await DescribeAsync(archive, cancellationToken);
        var run = await CreateAsync(request, idempotencyKey: null, cancellationToken);
        try
        {
            if (described.SizeBytes <= DirectBytes)
            {
                await UploadArchiveAsync(run.Id, archive, described, idempotencyKey: null, cancellationToken);
            }
            else
            {
                var transfer = await CreateArchiveTransferAsync(run.Id, described, idempotencyKey: null, cancellationToken);
                await UploadArchiveToTransferAsync(transfer, archive, cancellationToken);
                await FinalizeArchiveAsync(run.Id, transfer.Id, described, idempotencyKey: null, cancellationToken);
            }

            await StartAsync(run.Id, idempotencyKey: null, cancellationToken);
            await foreach (var happened in StreamAsync(run.Id, options: null, cancellationToken))
            {
                onEvent?.Invoke(happened);
                if (happened.Type == WorkspaceRunEventType.Terminal && happened.WorkspaceRun is { } final)
                    return final;
            }

            return await GetAsync(run.Id, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await TryCancelAsync(run.Id);
            throw;
        }
    }

    private async Task TryCancelAsync(string runId)
    {
        using var limit = new CancellationTokenSource(CancelPatience, _options.TimeProvider);
        try
        {
            await CancelAsync(runId, idempotencyKey: null, limit.Token);
        }
        catch (Exception exception) when (exception is CrowNestApiException or OperationCanceledException)
        {
            // What is thrown is the caller's cancellation; a run that cannot be canceled now ends by its own timeout.
        }
    }
}
