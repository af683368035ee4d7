namespace CrowNest.Platform.Data;

// The rows of the database, as EF Core's model sees them: column names are the snake_case of the property names (CrowNestDb).

public sealed class Organization
{
    public required string Id { get; set; }
    public required string Name { get; set; }

    /// <summary>Name of a configured plan; unknown counts as <c>free</c> (api.md 2.16).</summary>
    public required string Plan { get; set; }
    public DateTimeOffset? SuspendedAt { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

public sealed class User
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string Name { get; set; }

    /// <summary><c>owner</c> or <c>admin</c>.</summary>
    public required string Role { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

public sealed class ProjectEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string Name { get; set; }

    /// <summary>The one used when a request names none; exactly one per organization.</summary>
    public bool IsDefault { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

public sealed class ApiKeyEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string Name { get; set; }

    /// <summary>First characters of the secret, for people.</summary>
    public required string Prefix { get; set; }
    public required string Last4 { get; set; }

    /// <summary>SHA-256 of the secret, which is random enough to need no slow hash. The secret itself is never stored.</summary>
    public required byte[] SecretHash { get; set; }
    public required string[] Scopes { get; set; }

    /// <summary>Projects the key is restricted to; null: all of its organization.</summary>
    public string[]? ProjectIds { get; set; }
    public required string CreatedByUserId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
    public DateTimeOffset? LastUsedAt { get; set; }
}

/// <summary>A signed-in browser, or a short-lived session of the launcher; its secret is a bearer with all scopes of its user.</summary>
public sealed class SessionEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string UserId { get; set; }
    public required byte[] SecretHash { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset ExpiresAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
}

/// <summary>A one-time link to the dashboard; redeemed by a conditional update of <see cref="UsedAt"/>.</summary>
public sealed class SignInLink
{
    public required byte[] SecretHash { get; set; }
    public required string UserId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset ExpiresAt { get; set; }
    public DateTimeOffset? UsedAt { get; set; }
}

public sealed class TemplateEntity
{
    public required string Id { get; set; }
    public required string Slug { get; set; }
    public required string Description { get; set; }
}

public sealed class TemplateVersionEntity
{
    /// <summary>Derived from <see cref="ImageDigest"/>, so that one image is one version everywhere.</summary>
    public required string Id { get; set; }
    public required string TemplateId { get; set; }
    public required string Version { get; set; }
    public required string ImageDigest { get; set; }

    /// <summary>Default policy of sandboxes of this version: <c>none</c> or <c>internet</c>.</summary>
    public required string Network { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

/// <summary>A node. Its lease decides who may write the state of its sandboxes (design: Failing well).</summary>
public sealed class WorkerEntity
{
    public required string Id { get; set; }

    /// <summary>Where the API reaches its internal API.</summary>
    public required string Url { get; set; }
    public required string Runtime { get; set; }
    public DateTimeOffset StartedAt { get; set; }
    public DateTimeOffset LeaseExpiresAt { get; set; }
}

public sealed class SandboxEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string ProjectId { get; set; }
    public required string TemplateId { get; set; }
    public required string TemplateVersionId { get; set; }

    /// <summary>Stored state, see <see cref="SandboxStates"/>; <c>running</c> and <c>idle</c> are derived from its commands.</summary>
    public required string State { get; set; }
    public string? WorkerId { get; set; }
    public string? ContainerId { get; set; }
    public string? Runtime { get; set; }
    public required string Network { get; set; }
    public double Cpus { get; set; }
    public int MemoryMb { get; set; }
    public long TtlMs { get; set; }
    public DateTimeOffset ExpiresAt { get; set; }

    /// <summary>Flat string map as <c>jsonb</c>.</summary>
    public required string Metadata { get; set; }
    public bool? StartedWarm { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? ReadyAt { get; set; }
    public DateTimeOffset? DestroyedAt { get; set; }
    public string? DestroyedReason { get; set; }
    public string? FailureMessage { get; set; }
}

public sealed class CommandEntity
{
    public required string Id { get; set; }
    public required string OrgId { get; set; }
    public required string ProjectId { get; set; }
    public required string SandboxId { get; set; }
    public required string Command { get; set; }
    public required string Cwd { get; set; }
    public required string State { get; set; }
    public int? ExitCode { get; set; }

    /// <summary>Captured prefix, raw bytes: output may hold what <c>text</c> can not, such as NUL.</summary>
    public byte[]? Stdout { get; set; }
    public byte[]? Stderr { get; set; }
    public bool StdoutTruncated { get; set; }
    public bool StderrTruncated { get; set; }
    public long? TimeoutMs { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public string? CancelMode { get; set; }
    public DateTimeOffset? CanceledAt { get; set; }
    public string? TerminationSignal { get; set; }
    public string? KilledReason { get; set; }
    public string? FailureCode { get; set; }
    public string? FailureMessage { get; set; }
    public required string CollectStatus { get; set; }

    /// <summary>A <see cref="CollectPlan"/>, or null.</summary>
    public string? Collect { get; set; }

    /// <summary>A list of <see cref="CollectFailure"/>, or null.</summary>
    public string? CollectErrors { get; set; }

    /// <summary>Key of the finished log in object storage; null while it is only on the node, or when there was no output.</summary>
    public string? LogObjectKey { get; set; }

    /// <summary>Sequence numbers of the retained log; 0 when there was no output.</summary>
    public long OldestSeq { get; set; }
    public long LastSeq { get; set; }
}

/// <summary>A request under an <c>Idempotency-Key</c> (api.md 2.8).</summary>
public sealed class IdempotencyEntity
{
    /// <summary>SHA-256 of organization, credential, method, path and key.</summary>
    public required byte[] Id { get; set; }

    /// <summary>SHA-256 of what the request asked for.</summary>
    public required byte[] Fingerprint { get; set; }

    /// <summary>Sandbox or command that the request made: lets a retry find it when the instance that ran the request is gone.</summary>
    public string? ResourceId { get; set; }
    public int? ResponseStatus { get; set; }
    public byte[]? ResponseBody { get; set; }

    /// <summary>While this lies ahead and no response is stored, the original is still executing.</summary>
    public DateTimeOffset LockedUntil { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}
