using System.Text.RegularExpressions;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Idempotency;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Templates;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using Microsoft.EntityFrameworkCore;

namespace CrowNest.Platform.Database;

/// <summary>
/// The model and its migrations. Reads and rare writes go through it; the hot paths are plain SQL in <see cref="SandboxStore"/> and
/// <see cref="CommandStore"/> over the same tables.
/// </summary>
public sealed partial class CrowNestDb(DbContextOptions<CrowNestDb> options) : DbContext(options)
{
    public DbSet<Organization> Organizations => Set<Organization>();
    public DbSet<User> Users => Set<User>();
    public DbSet<ProjectEntity> Projects => Set<ProjectEntity>();
    public DbSet<ApiKeyEntity> ApiKeys => Set<ApiKeyEntity>();
    public DbSet<SessionEntity> Sessions => Set<SessionEntity>();
    public DbSet<SignInLink> SignInLinks => Set<SignInLink>();
    public DbSet<TemplateEntity> Templates => Set<TemplateEntity>();
    public DbSet<TemplateVersionEntity> TemplateVersions => Set<TemplateVersionEntity>();
    public DbSet<WorkerEntity> Workers => Set<WorkerEntity>();
    public DbSet<SandboxEntity> Sandboxes => Set<SandboxEntity>();
    public DbSet<CommandEntity> Commands => Set<CommandEntity>();
    public DbSet<IdempotencyEntity> IdempotencyRecords => Set<IdempotencyEntity>();
    public DbSet<ArtifactEntity> Artifacts => Set<ArtifactEntity>();
    public DbSet<AgentSessionEntity> AgentSessions => Set<AgentSessionEntity>();
    public DbSet<UsageEventEntity> UsageEvents => Set<UsageEventEntity>();
    public DbSet<UrlSigningKeyEntity> UrlSigningKeys => Set<UrlSigningKeyEntity>();
    public DbSet<WorkspaceRunEntity> WorkspaceRuns => Set<WorkspaceRunEntity>();
    public DbSet<WorkspaceRunEventEntity> WorkspaceRunEvents => Set<WorkspaceRunEventEntity>();
    public DbSet<ArchiveTransferEntity> ArchiveTransfers => Set<ArchiveTransferEntity>();
    public DbSet<EvidenceKeyEntity> EvidenceKeys => Set<EvidenceKeyEntity>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<Organization>().ToTable("organizations");
        modelBuilder.Entity<User>(e =>
        {
            e.ToTable("users");
            e.HasOne<Organization>().WithMany().HasForeignKey(x => x.OrgId).OnDelete(DeleteBehavior.Restrict);
        });
        modelBuilder.Entity<ProjectEntity>(e =>
        {
            e.ToTable("projects");
            e.HasOne<Organization>().WithMany().HasForeignKey(x => x.OrgId).OnDelete(DeleteBehavior.Restrict);
            e.HasIndex(x => x.OrgId).IsUnique().HasFilter("is_default").HasDatabaseName("ux_projects_default");
            e.HasIndex(x => new { x.OrgId, x.CreatedAt, x.Id });
        });
        modelBuilder.Entity<ApiKeyEntity>(e =>
        {
            e.ToTable("api_keys");
            e.HasIndex(x => x.SecretHash).IsUnique();
            e.HasOne<Organization>().WithMany().HasForeignKey(x => x.OrgId).OnDelete(DeleteBehavior.Restrict);
        });
        modelBuilder.Entity<SessionEntity>(e =>
        {
            e.ToTable("sessions");
            e.HasIndex(x => x.SecretHash).IsUnique();
            e.HasOne<User>().WithMany().HasForeignKey(x => x.UserId).OnDelete(DeleteBehavior.Cascade);
        });
        modelBuilder.Entity<SignInLink>(e =>
        {
            e.ToTable("sign_in_links");
            e.HasKey(x => x.SecretHash);
            e.HasOne<User>().WithMany().HasForeignKey(x => x.UserId).OnDelete(DeleteBehavior.Cascade);
        });
        modelBuilder.Entity<TemplateEntity>(e =>
        {
            e.ToTable("templates");
            e.HasIndex(x => x.Slug).IsUnique();
        });
        modelBuilder.Entity<TemplateVersionEntity>(e =>
        {
            e.ToTable("template_versions");
            e.HasOne<TemplateEntity>().WithMany().HasForeignKey(x => x.TemplateId).OnDelete(DeleteBehavior.Restrict);
        });
        modelBuilder.Entity<WorkerEntity>().ToTable("workers");
        modelBuilder.Entity<SandboxEntity>(e =>
        {
            e.ToTable("sandboxes");
            e.Property(x => x.Metadata).HasColumnType("jsonb");
            e.HasOne<ProjectEntity>().WithMany().HasForeignKey(x => x.ProjectId).OnDelete(DeleteBehavior.Restrict);
            e.HasOne<TemplateVersionEntity>().WithMany().HasForeignKey(x => x.TemplateVersionId).OnDelete(DeleteBehavior.Restrict);
            e.HasIndex(x => new { x.OrgId, x.CreatedAt, x.Id }).IsDescending(false, true, true);
            e.HasIndex(x => new { x.WorkerId, x.ExpiresAt }).HasFilter("state NOT IN ('destroyed', 'failed')")
                .HasDatabaseName("ix_sandboxes_live");
            e.HasIndex(x => x.Metadata).HasMethod("gin").HasOperators("jsonb_path_ops");
        });
        modelBuilder.Entity<CommandEntity>(e =>
        {
            e.ToTable("commands");
            e.HasOne<SandboxEntity>().WithMany().HasForeignKey(x => x.SandboxId).OnDelete(DeleteBehavior.Restrict);
            e.HasIndex(x => new { x.SandboxId, x.CreatedAt, x.Id }).IsDescending(false, true, true);
            e.HasIndex(x => x.SandboxId).HasFilter("finished_at IS NULL").HasDatabaseName("ix_commands_active");
            // Those that have output to let go of one day.
            e.HasIndex(x => x.FinishedAt).HasFilter("last_seq > 0 AND oldest_seq <= last_seq").HasDatabaseName("ix_commands_output");
            e.Property(x => x.Collect).HasColumnType("jsonb");
            e.Property(x => x.CollectErrors).HasColumnType("jsonb");
        });
        modelBuilder.Entity<IdempotencyEntity>(e =>
        {
            e.ToTable("idempotency_records");
            e.HasIndex(x => x.CreatedAt);
        });
        AddArtifacts(modelBuilder);
        AddWorkspaceRuns(modelBuilder);

        foreach (var property in modelBuilder.Model.GetEntityTypes().SelectMany(e => e.GetProperties()))
        {
            property.SetColumnName(WordStart().Replace(property.Name, "_$1").ToLowerInvariant());
        }
    }

    private static void AddArtifacts(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<ArtifactEntity>(e =>
        {
            e.ToTable("artifacts");
            e.Property(x => x.Metadata).HasColumnType("jsonb");
            e.HasOne<SandboxEntity>().WithMany().HasForeignKey(x => x.SandboxId).OnDelete(DeleteBehavior.Restrict);
            e.HasOne<AgentSessionEntity>().WithMany().HasForeignKey(x => x.SessionId).OnDelete(DeleteBehavior.Restrict);
            e.HasIndex(x => x.ObjectKey).IsUnique();
            e.HasIndex(x => new { x.OrgId, x.CreatedAt, x.Id }).IsDescending(false, true, true);
            e.HasIndex(x => new { x.SandboxId, x.CreatedAt, x.Id }).IsDescending(false, true, true);
            e.HasIndex(x => new { x.SessionId, x.CreatedAt, x.Id }).IsDescending(false, true, true);
            e.HasIndex(x => new { x.OrgId, x.RemotePath }).HasOperators("text_ops", "text_pattern_ops");
            e.HasIndex(x => x.Metadata).HasMethod("gin").HasOperators("jsonb_path_ops");
            e.HasIndex(x => x.RetentionExpiresAt).HasFilter("state <> 'deleted'").HasDatabaseName("ix_artifacts_retention");
            e.HasIndex(x => x.DeletedAt).HasFilter("state = 'deleted' AND bytes_removed_at IS NULL").HasDatabaseName("ix_artifacts_unremoved");
        });
        modelBuilder.Entity<AgentSessionEntity>(e =>
        {
            e.ToTable("agent_sessions");
            e.Property(x => x.Metadata).HasColumnType("jsonb");
            e.HasOne<ProjectEntity>().WithMany().HasForeignKey(x => x.ProjectId).OnDelete(DeleteBehavior.Restrict);
            e.HasOne<SandboxEntity>().WithMany().HasForeignKey(x => x.CurrentSandboxId).OnDelete(DeleteBehavior.Restrict);
            e.HasIndex(x => new { x.OrgId, x.CreatedAt, x.Id }).IsDescending(false, true, true);
        });
        modelBuilder.Entity<UsageEventEntity>(e =>
        {
            e.ToTable("usage_events");
            e.HasIndex(x => new { x.OrgId, x.CreatedAt });
        });
        modelBuilder.Entity<UrlSigningKeyEntity>(e =>
        {
            e.ToTable("url_signing_keys");
            e.HasIndex(x => x.RetiredAt).IsUnique().HasFilter("retired_at IS NULL").AreNullsDistinct(false)
                .HasDatabaseName("ux_url_signing_keys_current");
        });
    }

    private static void AddWorkspaceRuns(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<WorkspaceRunEntity>(e =>
        {
            e.ToTable("workspace_runs");
            foreach (var json in new[]
            {
                nameof(WorkspaceRunEntity.Metadata), nameof(WorkspaceRunEntity.SourceMetadata), nameof(WorkspaceRunEntity.Artifacts),
                nameof(WorkspaceRunEntity.Allowance), nameof(WorkspaceRunEntity.ArtifactErrors),
            })
            {
                e.Property(json).HasColumnType("jsonb");
            }

            e.HasOne<ProjectEntity>().WithMany().HasForeignKey(x => x.ProjectId).OnDelete(DeleteBehavior.Restrict);
            e.HasOne<TemplateVersionEntity>().WithMany().HasForeignKey(x => x.TemplateVersionId).OnDelete(DeleteBehavior.Restrict);
            e.HasIndex(x => new { x.OrgId, x.CreatedAt, x.Id }).IsDescending(false, true, true);
            e.HasIndex(x => x.Metadata).HasMethod("gin").HasOperators("jsonb_path_ops");
            e.HasIndex(x => x.StartedAt).HasFilter("closed_at IS NULL").HasDatabaseName("ix_workspace_runs_open");
            e.HasIndex(x => x.WarmSandboxId).HasFilter("closed_at IS NULL").HasDatabaseName("ix_workspace_runs_warm");
        });
        modelBuilder.Entity<WorkspaceRunEventEntity>(e =>
        {
            e.ToTable("workspace_run_events");
            e.HasKey(x => new { x.RunId, x.Seq });
            e.HasOne<WorkspaceRunEntity>().WithMany().HasForeignKey(x => x.RunId).OnDelete(DeleteBehavior.Cascade);
        });
        modelBuilder.Entity<ArchiveTransferEntity>(e =>
        {
            e.ToTable("archive_transfers");
            e.HasOne<WorkspaceRunEntity>().WithMany().HasForeignKey(x => x.RunId).OnDelete(DeleteBehavior.Cascade);
            e.HasIndex(x => x.RunId);
        });
        modelBuilder.Entity<EvidenceKeyEntity>(e =>
        {
            e.ToTable("evidence_keys");
            e.HasIndex(x => x.RetiredAt).IsUnique().HasFilter("retired_at IS NULL").AreNullsDistinct(false)
                .HasDatabaseName("ux_evidence_keys_current");
        });
    }

    [GeneratedRegex("(?<=[a-z0-9])([A-Z])")]
    private static partial Regex WordStart();
}
