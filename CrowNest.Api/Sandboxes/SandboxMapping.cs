using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;

namespace CrowNest.Api.Sandboxes;

internal static class SandboxMapping
{
    /// <summary>The row as the API shows it (docs/reference/api.md 4.1).</summary>
    public static Sandbox ToSandbox(this SandboxRow row) => new()
    {
        Id = row.Id,
        OrgId = row.OrgId,
        ProjectId = row.ProjectId,
        Status = row.Status,
        TemplateId = row.TemplateId,
        TemplateSlug = row.TemplateSlug,
        TemplateVersion = row.TemplateVersion,
        TemplateVersionId = row.TemplateVersionId,
        TtlMs = row.TtlMs,
        ExpiresAt = row.ExpiresAt,
        Metadata = row.Metadata,
        CreatedAt = row.CreatedAt,
        DestroyedAt = row.DestroyedAt,
        // The row knows the reason from the kill on; the contract shows it once the sandbox is gone.
        DestroyedReason = row.State == SandboxStatus.Destroyed ? row.DestroyedReason : null,
        Network = row.Network,
        Runtime = row.Runtime,
        Resources = new SandboxResources(row.Cpus, row.MemoryMb),
        FailureMessage = row.State == SandboxStatus.Failed ? row.FailureMessage : null,
    };
}
