using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Projects;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.Artifacts;

/// <summary>
/// Lists of artifacts (docs/reference/api.md 7.2, docs/reference/stateset.md 3.4, 3.5): by sandbox, by session, and across the
/// organization.
/// </summary>
internal static class ArtifactListing
{
    public static async Task<Page<Artifact>> OfOrganizationAsync(
        Caller caller, HttpRequest request, ArtifactStore store, SandboxStore sandboxes, AgentSessionStore sessions, ProjectAccess projects,
        TimeProvider time, CancellationToken cancellationToken)
    {
        // What is named must be the caller's: an unknown id and a foreign one are the same 404, never an empty page.
        var sandboxId = Paging.Single(request, "sandboxId");
        if (sandboxId is not null)
        {
            await DemandSandboxAsync(caller, sandboxId, sandboxes, cancellationToken);
        }

        var sessionId = Paging.Single(request, "sessionId");
        if (sessionId is not null)
        {
            await DemandSessionAsync(caller, sessionId, sessions, cancellationToken);
        }

        var filter = new ArtifactFilter
        {
            SandboxId = sandboxId,
            SessionId = sessionId,
            ProjectId = Paging.Single(request, "projectId") is { } projectId
                ? await projects.ResolveAsync(caller, projectId, cancellationToken)
                : null,
            RemotePath = Paging.Single(request, "remotePath"),
            RemotePathPrefix = Paging.Single(request, "remotePathPrefix"),
            Metadata = Metadata.ReadFilters(request),
            Limit = 0,
        };
        return await ListAsync(caller, request, filter, store, time, cancellationToken);
    }

    public static async Task<Page<Artifact>> OfSandboxAsync(
        string sandboxId, Caller caller, HttpRequest request, ArtifactStore store, SandboxStore sandboxes, TimeProvider time,
        CancellationToken cancellationToken)
    {
        await DemandSandboxAsync(caller, sandboxId, sandboxes, cancellationToken);
        return await ListAsync(caller, request, new ArtifactFilter { SandboxId = sandboxId, Limit = 0 }, store, time, cancellationToken);
    }

    public static async Task<Page<Artifact>> OfSessionAsync(
        string sessionId, Caller caller, HttpRequest request, ArtifactStore store, AgentSessionStore sessions, TimeProvider time,
        CancellationToken cancellationToken)
    {
        await DemandSessionAsync(caller, sessionId, sessions, cancellationToken);
        return await ListAsync(caller, request, new ArtifactFilter { SessionId = sessionId, Limit = 0 }, store, time, cancellationToken);
    }

    private static async Task<Page<Artifact>> ListAsync(
        Caller caller, HttpRequest request, ArtifactFilter filter, ArtifactStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var page = Paging.Read(request);
        var rows = await store.ListAsync(
            caller.Ownership, filter with { After = page.After, Limit = page.Fetch }, time.GetUtcNow(), cancellationToken);
        return Paging.Build(page, rows, r => new ListPosition(r.CreatedAt, r.Id), r => r.ToArtifact());
    }

    private static async Task DemandSandboxAsync(
        Caller caller, string sandboxId, SandboxStore sandboxes, CancellationToken cancellationToken) =>
        _ = await sandboxes.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox");

    private static async Task DemandSessionAsync(
        Caller caller, string sessionId, AgentSessionStore sessions, CancellationToken cancellationToken) =>
        _ = await sessions.FindAsync(caller.Ownership, sessionId, cancellationToken) ?? throw ApiException.NotFound("Agent session");
}
