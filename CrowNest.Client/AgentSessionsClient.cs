using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary><c>/v1/agent-sessions</c> (docs/reference/stateset.md 3.5).</summary>
public sealed class AgentSessionsClient
{
    private const string Root = "v1/agent-sessions";
    private readonly Transport _transport;

    internal AgentSessionsClient(Transport transport) => _transport = transport;

    public Task<AgentSession> CreateAsync(
        CreateAgentSessionRequest? request = null, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Post, Root, request ?? new CreateAgentSessionRequest(), IdempotencyKey.Or(idempotencyKey), cancellationToken);

    public Task<AgentSession> GetAsync(string sessionId, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Get, PathOf(sessionId), body: null, idempotencyKey: null, cancellationToken);

    /// <summary>One page, newest first.</summary>
    public Task<Page<AgentSession>> ListAsync(
        string? projectId = null, int? limit = null, string? cursor = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<Page<AgentSession>>(
            new Query(Root).Add("projectId", projectId).Add("limit", limit).Add("cursor", cursor).ToString(), cancellationToken);

    /// <summary>Makes another live sandbox of the session's project the current one.</summary>
    public Task<AgentSession> SwitchSandboxAsync(string sessionId, string sandboxId, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Put, PathOf(sessionId) + "/sandbox", new SwitchSandboxRequest(sandboxId), null, cancellationToken);

    /// <summary>Ends the session; its sandbox lives on. One that has ended is returned unchanged.</summary>
    public Task<AgentSession> StopAsync(string sessionId, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Post, PathOf(sessionId) + "/stop", body: null, idempotencyKey: null, cancellationToken);

    /// <summary>Exports a file of the current sandbox, tagged with the session.</summary>
    public async Task<Artifact> CreateArtifactAsync(
        string sessionId, CreateArtifactRequest request, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        (await _transport.SendAsync<ArtifactResponse>(
            HttpMethod.Post, PathOf(sessionId) + "/artifacts", request, IdempotencyKey.Or(idempotencyKey), cancellationToken)).Artifact;

    /// <summary>One page of the session's artifacts, from all sandboxes that it ever used, newest first.</summary>
    public Task<Page<Artifact>> ListArtifactsAsync(
        string sessionId, int? limit = null, string? cursor = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<Page<Artifact>>(
            new Query(PathOf(sessionId) + "/artifacts").Add("limit", limit).Add("cursor", cursor).ToString(), cancellationToken);

    private async Task<AgentSession> SendAsync(
        HttpMethod method, string path, object? body, string? idempotencyKey, CancellationToken cancellationToken) =>
        (await _transport.SendAsync<AgentSessionResponse>(method, path, body, idempotencyKey, cancellationToken)).Session;

    private static string PathOf(string sessionId) => $"{Root}/{Transport.Segment(sessionId, Ids.AgentSession)}";
}
