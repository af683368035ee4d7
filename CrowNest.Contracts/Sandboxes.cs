namespace CrowNest.Contracts;

/// <summary>
/// A sandbox as the API shows it (docs/reference/api.md 4.1). Members after <c>DestroyedReason</c> are additions of this system.
/// </summary>
public sealed record Sandbox
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }

    /// <summary>One of <see cref="SandboxStatus"/>.</summary>
    public required string Status { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateSlug { get; init; }
    public required string TemplateVersion { get; init; }
    public required string TemplateVersionId { get; init; }

    /// <summary>Lifetime last granted, by create or extend.</summary>
    public required long TtlMs { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? DestroyedAt { get; init; }

    /// <summary>One of <see cref="Contracts.DestroyedReason"/>, once destroyed.</summary>
    public string? DestroyedReason { get; init; }

    /// <summary><c>none</c> or <c>internet</c>.</summary>
    public string? Network { get; init; }

    /// <summary>Container runtime that isolates it, for example <c>runc</c> or <c>runsc</c>; present once a node has it.</summary>
    public string? Runtime { get; init; }

    public SandboxResources? Resources { get; init; }

    /// <summary>Why it failed, for people; present only on <c>failed</c> sandboxes.</summary>
    public string? FailureMessage { get; init; }
}

/// <summary>
/// Statuses of a sandbox (docs/reference/api.md 4.2). <c>running</c> and <c>idle</c> are views of the stored state <c>ready</c>.
/// </summary>
public static class SandboxStatus
{
    public const string Creating = "creating";
    public const string Starting = "starting";
    public const string Ready = "ready";
    public const string Running = "running";
    public const string Idle = "idle";
    public const string Expiring = "expiring";
    public const string Destroyed = "destroyed";
    public const string Failed = "failed";

    public static IReadOnlyList<string> All { get; } = [Creating, Starting, Ready, Running, Idle, Expiring, Destroyed, Failed];
}

/// <summary>Why a sandbox was destroyed (docs/reference/api.md 4.1).</summary>
public static class DestroyedReason
{
    public const string UserKilled = "user_killed";
    public const string TtlExpired = "ttl_expired";
    public const string IdleExpired = "idle_expired";
    public const string PlatformCleanup = "platform_cleanup";
}

/// <summary>Network policies of a sandbox.</summary>
public static class NetworkPolicy
{
    /// <summary>Loopback only.</summary>
    public const string None = "none";

    /// <summary>Public addresses only: never the host, other sandboxes, private or link-local ranges.</summary>
    public const string Internet = "internet";
}

/// <summary>Size of a sandbox (docs/reference/stateset.md 2). Absent members take the deployment's default.</summary>
/// <param name="Cpus">CPU cores, fractions allowed.</param>
/// <param name="MemoryMb">Memory in MiB; workspace and other writable folders count towards it.</param>
public sealed record SandboxResources(double? Cpus = null, int? MemoryMb = null);

/// <summary>Body of <c>POST /v1/sandboxes</c> (docs/reference/api.md 4.3, docs/reference/stateset.md 2).</summary>
public sealed record CreateSandboxRequest
{
    public string? ProjectId { get; init; }
    public string? Template { get; init; }
    public string? TemplateVersionId { get; init; }
    public long? TtlMs { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
    public string? RestoreFrom { get; init; }
    public SandboxResources? Resources { get; init; }

    /// <summary>One of <see cref="NetworkPolicy"/>; default: the template's.</summary>
    public string? Network { get; init; }
}

/// <summary>Body of <c>POST /v1/sandboxes/{id}/extend</c> (docs/reference/api.md 4.7).</summary>
public sealed record ExtendSandboxRequest(long? TtlMs);

public sealed record SandboxResponse(Sandbox Sandbox);
