using System.Text.Json.Nodes;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.AgentSessions;

/// <summary>What sessions and sandboxes must be to have to do with each other (docs/reference/stateset.md 3.5).</summary>
internal static class AgentSessionAccess
{
    /// <exception cref="ApiException">404.</exception>
    public static async Task<AgentSessionRow> GetAsync(
        this AgentSessionStore sessions, Caller caller, string sessionId, CancellationToken cancellationToken) =>
        await sessions.FindAsync(caller.Ownership, sessionId, cancellationToken) ?? throw ApiException.NotFound("Agent session");

    /// <exception cref="ApiException">404, or 409 when it was stopped.</exception>
    public static async Task<AgentSessionRow> DemandActiveAsync(
        this AgentSessionStore sessions, Caller caller, string sessionId, CancellationToken cancellationToken)
    {
        var session = await sessions.GetAsync(caller, sessionId, cancellationToken);
        return session.IsActive ? session : throw Stopped();
    }

    /// <summary>A sandbox that takes work, or soon will.</summary>
    /// <exception cref="ApiException">404 or 410.</exception>
    public static async Task<SandboxRow> DemandLiveAsync(
        this SandboxStore sandboxes, Caller caller, string sandboxId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var sandbox = await sandboxes.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox");
        return IsLive(sandbox, now) ? sandbox : throw SandboxReadiness.Gone(SandboxNode.StateOf(sandbox, now));
    }

    public static bool IsLive(SandboxRow sandbox, DateTimeOffset now) =>
        SandboxNode.StateOf(sandbox, now) is SandboxStatus.Creating or SandboxStatus.Starting or SandboxStatus.Ready;

    public static ApiException Stopped() => new(ErrorCodes.Conflict, "The agent session was stopped.",
        new JsonObject { ["status"] = AgentSessionStatus.Stopped });

    public static ApiException NoSandbox() =>
        new(ErrorCodes.Conflict, "The agent session has no live sandbox: give it one by PUT …/sandbox.");

    public static ApiException OtherProject() =>
        new(ErrorCodes.Conflict, "The sandbox is of another project than the agent session.");
}
