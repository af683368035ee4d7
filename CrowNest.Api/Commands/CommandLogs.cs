using System.Text.Json.Nodes;
using CrowNest.Api.Auth;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Commands;

/// <summary>Output of a command in pages and as a download (docs/reference/api.md 5.6).</summary>
internal static class CommandLogs
{
    public static async Task<SeqPage<CommandLogChunk>> ListAsync(
        string commandId, Caller caller, HttpRequest request, CommandStore store, ICommandLogReader logs, CancellationToken cancellationToken)
    {
        var row = await store.FindAsync(caller.Ownership, commandId, cancellationToken) ?? throw ApiException.NotFound("Command");
        var window = Paging.ReadSeq(request);
        var page = await Reading(() => logs.ReadAsync(row, window.AfterSeq, window.Limit, cancellationToken));
        if (window.AfterSeq is { } after && page.Range.IsGapAfter(after))
        {
            throw GapAfter(page.Range);
        }

        return new SeqPage<CommandLogChunk>(
            [.. page.Records.Select(r => r.ToChunk(commandId))], page.HasMore, page.Records is [.., var last] ? last.Seq : null);
    }

    public static async Task<DownloadUrl> CreateDownloadUrlAsync(
        string commandId, Caller caller, CommandStore store, SignedUrls urls, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        _ = await store.FindAsync(caller.Ownership, commandId, cancellationToken) ?? throw ApiException.NotFound("Command");
        var target = new LinkTarget(HttpMethods.Get, $"/v1/commands/{commandId}/logs/download");
        var (url, expiresAt) = await urls.LinkAsync(caller, target, options.Value.DownloadUrlLifetime, cancellationToken);
        return new DownloadUrl(url, target.Method, expiresAt);
    }

    /// <summary>All retained output as text, both streams in the order of their records.</summary>
    public static async Task DownloadAsync(
        string commandId, Caller caller, HttpContext context, CommandStore store, ICommandLogReader logs, CancellationToken cancellationToken)
    {
        var row = await store.FindAsync(caller.Ownership, commandId, cancellationToken) ?? throw ApiException.NotFound("Command");
        await using var records = logs.ReadAllAsync(row, cancellationToken).GetAsyncEnumerator(cancellationToken);
        // The first record is read before the status is sent: a store that is away is an error, not an empty log.
        var more = await Reading(() => records.MoveNextAsync().AsTask());
        var response = context.Response;
        response.ContentType = "text/plain; charset=utf-8";
        response.Headers.CacheControl = "no-store";
        // What a command printed must not become a page of this origin.
        response.Headers.XContentTypeOptions = "nosniff";
        while (more)
        {
            await response.Body.WriteAsync(records.Current.Payload, cancellationToken);
            more = await records.MoveNextAsync();
        }
    }

    /// <summary>409: what was asked for was dropped.</summary>
    public static ApiException GapAfter(LogRange range) => new(
        ErrorCodes.StreamGap, $"The log is retained from sequence number {range.OldestSeq} on; what was before it is gone.",
        new JsonObject { ["oldestSeq"] = range.OldestSeq, ["latestSeq"] = range.LatestSeq });

    /// <summary>Tells a log that cannot be read now from a fault.</summary>
    public static async Task<T> Reading<T>(Func<Task<T>> read)
    {
        try
        {
            return await read();
        }
        catch (LogUnavailableException)
        {
            throw new ApiException(ErrorCodes.RuntimeError, LogUnavailable);
        }
    }

    public const string LogUnavailable = "The log cannot be read at the moment: its store does not answer. Try again.";
}
