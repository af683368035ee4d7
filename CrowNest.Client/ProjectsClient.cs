using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary><c>/v1/projects</c> (docs/reference/api.md 11).</summary>
public sealed class ProjectsClient
{
    private readonly Transport _transport;

    internal ProjectsClient(Transport transport) => _transport = transport;

    /// <summary>One page of the projects that the credential may use.</summary>
    public Task<Page<Project>> ListAsync(int? limit = null, string? cursor = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<Page<Project>>(
            new Query("v1/projects").Add("limit", limit).Add("cursor", cursor).ToString(), cancellationToken);
}
