using CrowNest.Api.Artifacts;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Projects;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.AgentSessions;

/// <summary>Agent sessions (docs/reference/stateset.md 3.5).</summary>
internal static class AgentSessionEndpoints
{
    private const string Tag = "Agent Sessions";
    private const string One = "/agent-sessions/{sessionId}";

    public static void MapAgentSessions(this RouteGroupBuilder v1)
    {
        v1.MapPost("/agent-sessions", CreateAsync).RequireScope(Scopes.SandboxCreate).HonoursIdempotencyKey()
            .WithOperation("createAgentSession", Tag, "Begin an agent session", o => o with
            {
                Body = typeof(CreateAgentSessionRequest),
                BodyOptional = true,
                Response = typeof(AgentSessionResponse),
                Status = StatusCodes.Status201Created,
                Errors = [ErrorCodes.SandboxDestroyed, ErrorCodes.Conflict],
            });
        v1.MapGet("/agent-sessions", ListAsync).RequireScope(Scopes.SandboxRead)
            .WithOperation("listAgentSessions", Tag, "List agent sessions, newest first", o => o with
            {
                Response = typeof(Page<AgentSession>),
                Paged = true,
                Query =
                [
                    new("projectId", "string", "Only those of this project"), new("status", "string", "`active` or `stopped`"),
                ],
            });
        v1.MapGet(One, GetAsync).RequireScope(Scopes.SandboxRead)
            .WithOperation("getAgentSession", Tag, "Get an agent session", o => o with { Response = typeof(AgentSessionResponse) });
        v1.MapPut($"{One}/sandbox", SwitchAsync).RequireScope(Scopes.SandboxCreate)
            .WithOperation("switchAgentSessionSandbox", Tag, "Make another sandbox the current one", o => o with
            {
                Body = typeof(SwitchSandboxRequest),
                Response = typeof(AgentSessionResponse),
                Errors = [ErrorCodes.SandboxDestroyed, ErrorCodes.Conflict],
            });
        v1.MapPost($"{One}/artifacts", CreateArtifactAsync).RequireScope(Scopes.ArtifactCreate).AlsoRequireScope(Scopes.FileRead)
            .HonoursIdempotencyKey().WithOperation("createAgentSessionArtifact", Tag, "Keep a copy of a file of the current sandbox", o => o with
            {
                Body = typeof(CreateArtifactRequest),
                Response = typeof(ArtifactResponse),
                Status = StatusCodes.Status201Created,
                Errors = ArtifactEndpoints.ExportErrors,
            });
        v1.MapGet($"{One}/artifacts", ArtifactListing.OfSessionAsync).RequireScope(Scopes.ArtifactRead)
            .WithOperation("listAgentSessionArtifacts", Tag, "List a session's artifacts, newest first",
                o => o with { Response = typeof(Page<Artifact>), Paged = true });
        v1.MapPost($"{One}/stop", StopAsync).RequireScope(Scopes.SandboxKill)
            .WithOperation("stopAgentSession", Tag, "End an agent session; its sandbox lives on",
                o => o with { Response = typeof(AgentSessionResponse) });
    }

    private static async Task<IResult> CreateAsync(
        Caller caller, HttpContext context, AgentSessionStore sessions, SandboxStore sandboxes, ProjectAccess projects, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var row = context.GetIdempotentResourceId() is { } earlier
            ? await sessions.FindAsync(caller.Ownership, earlier, cancellationToken)
            : null;
        row ??= await InsertAsync();
        return TypedResults.Json(new AgentSessionResponse(ToSession(row)), CrowNestJson.Options, statusCode: StatusCodes.Status201Created);

        async Task<AgentSessionRow> InsertAsync()
        {
            var request = await RequestBody.ReadAsync<CreateAgentSessionRequest>(context, cancellationToken, optional: true);
            if (request.Name is { } name && name.Length is 0 or > Limits.NameLength)
            {
                throw ApiException.InvalidField("name", $"'name' must have 1 to {Limits.NameLength} characters.");
            }

            var metadata = request.Metadata ?? new Dictionary<string, string>();
            Metadata.Validate(metadata);
            // First, so that an unknown project is a 404 and not another project than the sandbox's.
            var projectId = request.ProjectId is { } named ? await projects.ResolveAsync(caller, named, cancellationToken) : null;
            if (request.SandboxId is { } sandboxId)
            {
                var sandbox = await sandboxes.DemandLiveAsync(caller, sandboxId, time.GetUtcNow(), cancellationToken);
                projectId ??= sandbox.ProjectId;
                _ = sandbox.ProjectId == projectId ? sandbox : throw AgentSessionAccess.OtherProject();
            }

            var session = new AgentSessionRow
            {
                Id = Ids.New(Ids.AgentSession),
                OrgId = caller.OrgId,
                ProjectId = projectId ?? await projects.ResolveAsync(caller, null, cancellationToken),
                Name = request.Name,
                State = AgentSessionStatus.Active,
                CurrentSandboxId = request.SandboxId,
                Metadata = metadata,
                CreatedAt = time.GetUtcNow(),
            };
            await sessions.InsertAsync(session, context.GetIdempotencyId(), CancellationToken.None);
            return session;
        }
    }

    private static async Task<Page<AgentSession>> ListAsync(
        Caller caller, HttpRequest request, AgentSessionStore sessions, ProjectAccess projects, CancellationToken cancellationToken)
    {
        var page = Paging.Read(request);
        var status = Paging.Single(request, "status") switch
        {
            null => null,
            (AgentSessionStatus.Active or AgentSessionStatus.Stopped) and var known => known,
            _ => throw ApiException.InvalidField("status", "status must be \"active\" or \"stopped\"."),
        };
        var projectId = Paging.Single(request, "projectId") is { } named
            ? await projects.ResolveAsync(caller, named, cancellationToken)
            : null;
        var rows = await sessions.ListAsync(caller.Ownership, projectId, status, page.After, page.Fetch, cancellationToken);
        return Paging.Build(page, rows, r => new ListPosition(r.CreatedAt, r.Id), ToSession);
    }

    private static async Task<AgentSessionResponse> GetAsync(
        string sessionId, Caller caller, AgentSessionStore sessions, CancellationToken cancellationToken) =>
        new(ToSession(await sessions.GetAsync(caller, sessionId, cancellationToken)));

    private static async Task<AgentSessionResponse> SwitchAsync(
        string sessionId, Caller caller, HttpContext context, AgentSessionStore sessions, SandboxStore sandboxes, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var session = await sessions.GetAsync(caller, sessionId, cancellationToken);
        var request = await RequestBody.ReadAsync<SwitchSandboxRequest>(context, cancellationToken);
        if (request.SandboxId is not { } sandboxId)
        {
            throw ApiException.InvalidField("sandboxId", "'sandboxId' is required.");
        }

        _ = session.IsActive ? session : throw AgentSessionAccess.Stopped();
        var sandbox = await sandboxes.DemandLiveAsync(caller, sandboxId, time.GetUtcNow(), cancellationToken);
        _ = sandbox.ProjectId == session.ProjectId ? sandbox : throw AgentSessionAccess.OtherProject();
        // Stopped between the two looks: the row decides.
        return new AgentSessionResponse(ToSession(
            await sessions.SwitchAsync(caller.Ownership, sessionId, sandbox.Id, sandbox.ProjectId, cancellationToken)
            ?? throw AgentSessionAccess.Stopped()));
    }

    private static async Task<IResult> CreateArtifactAsync(
        string sessionId, Caller caller, HttpContext context, AgentSessionStore sessions, SandboxStore sandboxes, ArtifactCreation creation,
        TimeProvider time, CancellationToken cancellationToken)
    {
        var session = await sessions.GetAsync(caller, sessionId, cancellationToken);
        var wanted = ArtifactRules.Check(await RequestBody.ReadAsync<CreateArtifactRequest>(context, cancellationToken));
        try
        {
            return await ArtifactEndpoints.AnswerAsync(
                caller, wanted with { SessionId = session.Id }, context, creation, ChooseSandboxAsync, cancellationToken);
        }
        catch (ApiException e) when (e.Code == ErrorCodes.SandboxDestroyed)
        {
            throw AgentSessionAccess.NoSandbox();
        }

        async Task<string> ChooseSandboxAsync()
        {
            _ = session.IsActive ? session : throw AgentSessionAccess.Stopped();
            return session.CurrentSandboxId is { } current
                && await sandboxes.FindAsync(caller.Ownership, current, cancellationToken) is { } sandbox
                && AgentSessionAccess.IsLive(sandbox, time.GetUtcNow()) ? current : throw AgentSessionAccess.NoSandbox();
        }
    }

    private static async Task<AgentSessionResponse> StopAsync(
        string sessionId, Caller caller, AgentSessionStore sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        await sessions.StopAsync(caller.Ownership, sessionId, time.GetUtcNow(), cancellationToken);
        return new AgentSessionResponse(ToSession(await sessions.GetAsync(caller, sessionId, cancellationToken)));
    }

    private static AgentSession ToSession(AgentSessionRow row) => new()
    {
        Id = row.Id,
        OrgId = row.OrgId,
        ProjectId = row.ProjectId,
        Name = row.Name,
        Status = row.State,
        CurrentSandboxId = row.CurrentSandboxId,
        Metadata = row.Metadata,
        CreatedAt = row.CreatedAt,
        StoppedAt = row.StoppedAt,
    };
}
