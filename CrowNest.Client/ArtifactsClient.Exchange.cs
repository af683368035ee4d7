using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>
/// The same operations under the names of the second contract (docs/reference/stateset.md 3.6): files go from sandbox to sandbox.
/// </summary>
public sealed partial class ArtifactsClient
{
    /// <summary>Exports a file of a running sandbox.</summary>
    /// <param name="remotePath">Where to file it, relative; default: the path below <c>/workspace</c>.</param>
    public Task<Artifact> UploadArtifactAsync(
        string sandboxId, string path, string? remotePath = null, string? contentType = null,
        IReadOnlyDictionary<string, string>? metadata = null, CancellationToken cancellationToken = default) =>
        CreateAsync(
            sandboxId,
            new CreateArtifactRequest { Path = path, RemotePath = remotePath, ContentType = contentType, Metadata = metadata },
            idempotencyKey: null, cancellationToken);

    /// <summary>Imports an artifact into a running sandbox; missing directories are made.</summary>
    public Task<ImportedArtifact> DownloadArtifactAsync(
        string sandboxId, string artifactId, string path, CancellationToken cancellationToken = default) =>
        new FilesClient(_transport).ImportArtifactAsync(
            sandboxId, new ImportArtifactRequest { ArtifactId = artifactId, Path = path }, idempotencyKey: null, cancellationToken);

    /// <summary>A link that anyone can use for so many seconds.</summary>
    public Task<DownloadUrl> GetArtifactUrlAsync(
        string artifactId, long expiresInSeconds, CancellationToken cancellationToken = default) =>
        CreateDownloadUrlAsync(artifactId, expiresInSeconds, cancellationToken);

    /// <summary>Every artifact of the organization, or of one sandbox, newest first.</summary>
    public IAsyncEnumerable<Artifact> ListArtifactsAsync(
        string? sandboxId = null, string? remotePathPrefix = null, IReadOnlyDictionary<string, string>? metadata = null,
        CancellationToken cancellationToken = default) =>
        ListAllAsync(
            new ListArtifactsOptions { SandboxId = sandboxId, RemotePathPrefix = remotePathPrefix, Metadata = metadata }, cancellationToken);

    /// <summary>Exports a file of a session's current sandbox.</summary>
    public Task<Artifact> UploadAgentSessionArtifactAsync(
        string sessionId, string path, IReadOnlyDictionary<string, string>? metadata = null,
        CancellationToken cancellationToken = default) =>
        new AgentSessionsClient(_transport).CreateArtifactAsync(
            sessionId, new CreateArtifactRequest { Path = path, Metadata = metadata }, idempotencyKey: null, cancellationToken);
}
