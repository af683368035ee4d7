using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>Which artifacts to list (docs/reference/stateset.md 3.4).</summary>
public sealed record ListArtifactsOptions
{
    /// <summary>Also one that is destroyed.</summary>
    public string? SandboxId { get; init; }

    public string? ProjectId { get; init; }

    public string? SessionId { get; init; }

    /// <summary>Exact match.</summary>
    public string? RemotePath { get; init; }

    public string? RemotePathPrefix { get; init; }

    /// <summary>Exact matches, all of which must hold.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Page size, 1 to 500; default 50.</summary>
    public int? Limit { get; init; }

    /// <summary><see cref="Page{T}.NextCursor"/> of the page before.</summary>
    public string? Cursor { get; init; }
}

/// <summary><c>/v1/artifacts</c> and those of a sandbox (docs/reference/api.md 7, docs/reference/stateset.md 3).</summary>
public sealed partial class ArtifactsClient
{
    private const string Root = "v1/artifacts";
    private readonly Transport _transport;

    internal ArtifactsClient(Transport transport) => _transport = transport;

    /// <summary>Keeps a copy of a sandbox's file. Every call makes a new artifact.</summary>
    public async Task<Artifact> CreateAsync(
        string sandboxId, CreateArtifactRequest request, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        (await _transport.SendAsync<ArtifactResponse>(
            HttpMethod.Post, SandboxesClient.PathOf(sandboxId) + "/artifacts", request, IdempotencyKey.Or(idempotencyKey),
            cancellationToken)).Artifact;

    public async Task<Artifact> GetAsync(string artifactId, CancellationToken cancellationToken = default) =>
        (await _transport.GetAsync<ArtifactResponse>(PathOf(artifactId), cancellationToken)).Artifact;

    /// <summary>One page of the organization's artifacts, newest first.</summary>
    public Task<Page<Artifact>> ListAsync(ListArtifactsOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new ListArtifactsOptions();
        var query = new Query(Root)
            .Add("sandboxId", options.SandboxId)
            .Add("projectId", options.ProjectId)
            .Add("sessionId", options.SessionId)
            .Add("remotePath", options.RemotePath)
            .Add("remotePathPrefix", options.RemotePathPrefix)
            .Add("limit", options.Limit)
            .Add("cursor", options.Cursor);
        foreach (var (key, value) in options.Metadata ?? new Dictionary<string, string>())
            query.Add($"metadata.{key}", value);
        return _transport.GetAsync<Page<Artifact>>(query.ToString(), cancellationToken);
    }

    /// <summary>Every match, page after page as the caller goes on.</summary>
    public async IAsyncEnumerable<Artifact> ListAllAsync(
        ListArtifactsOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ListArtifactsOptions();
        Page<Artifact> page;
        do
        {
            page = await ListAsync(options, cancellationToken);
            foreach (var artifact in page.Data)
                yield return artifact;
            options = options with { Cursor = page.NextCursor };
        }
        while (page.HasMore && page.NextCursor is not null);
    }

    /// <summary>A link to the bytes.</summary>
    /// <param name="expiresInSeconds">
    /// 1 to 604800: the link works on its own for so long. null: a link for 15 minutes that dies with the credential that made it.
    /// </param>
    public Task<DownloadUrl> CreateDownloadUrlAsync(
        string artifactId, long? expiresInSeconds = null, CancellationToken cancellationToken = default) =>
        _transport.SendAsync<DownloadUrl>(
            HttpMethod.Post, PathOf(artifactId) + "/download-url", new CreateArtifactDownloadUrlRequest(expiresInSeconds), null,
            cancellationToken);

    /// <summary>The bytes, or a part of them.</summary>
    /// <param name="from">First byte; null with <paramref name="to"/>: that many bytes from the end.</param>
    /// <param name="to">Last byte, inclusive; null: to the end.</param>
    public Task<Download> OpenAsync(
        string artifactId, long? from = null, long? to = null, CancellationToken cancellationToken = default) =>
        _transport.DownloadAsync(
            PathOf(artifactId) + "/download", from is null && to is null ? null : new RangeHeaderValue(from, to), cancellationToken);

    /// <summary>Removes the bytes for good.</summary>
    public async Task<Artifact> DeleteAsync(string artifactId, CancellationToken cancellationToken = default) =>
        (await _transport.SendAsync<ArtifactResponse>(
            HttpMethod.Delete, PathOf(artifactId), body: null, idempotencyKey: null, cancellationToken)).Artifact;

    private static string PathOf(string artifactId) => $"{Root}/{Transport.Segment(artifactId, Ids.Artifact)}";
}
