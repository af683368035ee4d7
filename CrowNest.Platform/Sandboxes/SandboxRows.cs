using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Platform.Sandboxes;

/// <summary>A sandbox row with what its status is derived from.</summary>
public sealed record SandboxRow
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateSlug { get; init; }
    public required string TemplateVersion { get; init; }
    public required string TemplateVersionId { get; init; }
    public required string State { get; init; }
    public string? WorkerId { get; init; }
    public string? ContainerId { get; init; }
    public string? Runtime { get; init; }
    public required string Network { get; init; }
    public required double Cpus { get; init; }
    public required int MemoryMb { get; init; }
    public required long TtlMs { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? ReadyAt { get; init; }
    public DateTimeOffset? DestroyedAt { get; init; }
    public string? DestroyedReason { get; init; }
    public string? FailureMessage { get; init; }

    /// <summary>It has a command that is not final.</summary>
    public required bool HasActiveWork { get; init; }

    /// <summary>It has ever had a command.</summary>
    public required bool HasWorked { get; init; }

    /// <summary>The status of docs/reference/api.md 4.2, with <c>running</c> and <c>idle</c> derived.</summary>
    public string Status => State != SandboxStatus.Ready ? State
        : HasActiveWork ? SandboxStatus.Running
        : HasWorked ? SandboxStatus.Idle
        : SandboxStatus.Ready;
}

/// <summary>What the API writes when it accepts a sandbox.</summary>
public sealed record NewSandbox
{
    public required string Id { get; init; }
    public required string OrgId { get; init; }
    public required string ProjectId { get; init; }
    public required string TemplateId { get; init; }
    public required string TemplateVersionId { get; init; }
    public required string Network { get; init; }
    public required double Cpus { get; init; }
    public required int MemoryMb { get; init; }
    public required long TtlMs { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
}

/// <param name="SandboxIds">Sandboxes that are now <c>failed</c> or <c>destroyed</c>.</param>
/// <param name="CommandIds">Commands that are now <c>killed</c>; what they printed is where their node left it.</param>
public sealed record ClosedBooks(IReadOnlyList<string> SandboxIds, IReadOnlyList<string> CommandIds);

/// <summary>Filter of a list (docs/reference/api.md 4.4).</summary>
public sealed record SandboxFilter
{
    public bool IncludeHistorical { get; init; }
    public string? Status { get; init; }
    public string? ProjectId { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public ListPosition? After { get; init; }
    public required int Limit { get; init; }
}
