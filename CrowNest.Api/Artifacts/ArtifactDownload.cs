using CrowNest.Api.Auth;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Files;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Storage;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace CrowNest.Api.Artifacts;

/// <summary>Bytes of an artifact, and links to them (docs/reference/api.md 7.2, docs/reference/stateset.md 3.3).</summary>
internal sealed partial class ArtifactDownload(
    ArtifactStore store, IObjectStore objects, Transfers transfers, SignedUrls urls, IOptions<ApiOptions> options, TimeProvider time,
    ILogger<ArtifactDownload> logger)
{
    private static readonly IReadOnlyDictionary<string, string> AnswerHeaders =
        new Dictionary<string, string> { ["x-content-type-options"] = "nosniff" };

    public async Task<DownloadUrl> CreateUrlAsync(
        string artifactId, Caller caller, Func<ValueTask<CreateArtifactDownloadUrlRequest>> read, CancellationToken cancellationToken)
    {
        var row = await FindAsync(artifactId, caller, cancellationToken);
        var request = await read();
        var chosen = FileRules.Lifetime(request.ExpiresInSeconds);
        var left = row.RetentionExpiresAt - time.GetUtcNow();
        var wanted = chosen ?? options.Value.DownloadUrlLifetime;
        var lifetime = wanted < left ? wanted : left;
        var target = new LinkTarget(HttpMethods.Get, $"/v1/artifacts/{row.Id}/download");
        var (url, expiresAt) = chosen is null
            ? await urls.LinkAsync(caller, target, lifetime, cancellationToken)
            : await urls.OpenLinkAsync(caller, target, lifetime, cancellationToken);
        return new DownloadUrl(
            url, target.Method, expiresAt, chosen is null ? DownloadAuthMode.ApiKey : DownloadAuthMode.None, AnswerHeaders,
            Math.Max(0, (long)lifetime.TotalSeconds));
    }

    public async Task SendAsync(string artifactId, Caller caller, HttpContext context)
    {
        var cancellationToken = context.RequestAborted;
        var row = await FindAsync(artifactId, caller, cancellationToken);
        var tag = new EntityTagHeaderValue($"\"{row.Sha256}\"");
        var range = ByteRange.Of(context.Request, row.SizeBytes!.Value, tag);
        try
        {
            await using var content = await OpenAsync(row, range, caller, cancellationToken);
            var response = context.Response;
            Attachment.SetHeaders(response, row.ContentType, row.Name);
            response.Headers.AcceptRanges = "bytes";
            response.Headers.ETag = tag.ToString();
            response.ContentLength = content.Length;
            if (range is { } part)
            {
                response.StatusCode = StatusCodes.Status206PartialContent;
                response.Headers.ContentRange = new ContentRangeHeaderValue(part.From, part.To, row.SizeBytes.Value).ToString();
            }

            await transfers.SendAsync(context, content.Content);
        }
        catch (ObjectStoreException e)
        {
            // Once bytes were sent, this breaks the connection off: half an artifact, or a wrong one, must not look like the whole.
            LogUnreadable(row.Id, e);
            throw Unreadable();
        }
    }

    private async Task<ArtifactRow> FindAsync(string artifactId, Caller caller, CancellationToken cancellationToken) =>
        await store.FindAsync(caller.Ownership, artifactId, time.GetUtcNow(), cancellationToken) ?? throw ApiException.NotFound("Artifact");

    /// <summary>The object, whole and verified while it is read, or a part of it.</summary>
    private async Task<StoredObject> OpenAsync(ArtifactRow row, ByteRange? range, Caller caller, CancellationToken cancellationToken)
    {
        var wanted = range is { } part && part.Length < row.SizeBytes ? new ObjectRange(part.From, part.Length) : (ObjectRange?)null;
        var content = await objects.GetAsync(row.ObjectKey, wanted, cancellationToken);
        if (content is null || content.TotalLength != row.SizeBytes)
        {
            await (content?.DisposeAsync() ?? ValueTask.CompletedTask);
            // Deleted or expired on the way: missing rightly, and a 404 as a moment later.
            await FindAsync(row.Id, caller, cancellationToken);
            LogNotWhatItWas(row.Id, content?.TotalLength ?? -1, row.SizeBytes!.Value);
            throw Unreadable();
        }

        return wanted is null ? content.Verified(row.Sha256!) : content;
    }

    private static ApiException Unreadable() =>
        new(ErrorCodes.DownloadExportFailed, "The artifact cannot be read from storage at the moment.");

    [LoggerMessage(2420, LogLevel.Error, "Artifact {ArtifactId} cannot be read.")]
    private partial void LogUnreadable(string artifactId, Exception exception);

    [LoggerMessage(2421, LogLevel.Error, "Artifact {ArtifactId}: storage has {Found} bytes of it (-1: nothing), not {Expected}.")]
    private partial void LogNotWhatItWas(string artifactId, long found, long expected);
}
