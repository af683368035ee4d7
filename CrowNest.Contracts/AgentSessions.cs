namespace CrowNest.Contracts;

/// <summary>Ties the artifacts of one agent's work over several sandboxes together (docs/reference/stateset.md 3.5).</summary>
public sealed record AgentSession
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public string? Name { get; init; }

    /// <summary>One of <see cref="AgentSessionStatus"/>.</summary>
    public required string Status { get; init; }
    public string? CurrentSandboxId { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StoppedAt { get; init; }
}

public static class AgentSessionStatus
{
    public const string Active = "active";
    public const string Stopped = "stopped";
}

public sealed record AgentSessionResponse(AgentSession Session);

/// <summary>Body of <c>POST /v1/agent-sessions</c>.</summary>
public sealed record CreateAgentSessionRequest
{
    /// <summary>1 to 255 characters.</summary>
    public string? Name { get; init; }

    /// <summary>Default: that of the sandbox, else the organization's default.</summary>
    public string? ProjectId { get; init; }

    /// <summary>The first current sandbox.</summary>
    public string? SandboxId { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>Body of <c>PUT /v1/agent-sessions/{id}/sandbox</c>.</summary>
public sealed record SwitchSandboxRequest(string? SandboxId);
