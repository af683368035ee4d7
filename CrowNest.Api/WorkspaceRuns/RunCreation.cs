using System.Diagnostics;
using CrowNest.Api.Artifacts;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Projects;
using CrowNest.Api.Sandboxes;
using CrowNest.Api.Templates;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary><c>POST /v1/workspace-runs</c> (docs/reference/api.md 10.3).</summary>
internal sealed class RunCreation(
    WorkspaceRunStore runs, SandboxStore sandboxes, ProjectAccess projects, TemplateChoice templates, IOptions<ApiOptions> api,
    IOptions<SandboxOptions> sandboxOptions, IOptions<ArtifactOptions> artifacts, IOptions<WorkspaceRunOptions> options, TimeProvider time)
{
    /// <summary>What a run takes from the sandbox that it will use.</summary>
    private sealed record Ground(string ProjectId, string TemplateId, string TemplateVersionId, string Network, double Cpus, int MemoryMb);

    public async Task<WorkspaceRunRow> CreateAsync(
        Caller caller, CreateWorkspaceRunRequest request, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        if (request.Artifacts is { Count: > 0 })
        {
            caller.Demand(Scopes.ArtifactCreate);
        }

        var warm = request.SandboxId is { } sandboxId
            ? await sandboxes.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox")
            : null;
        // A run in a sandbox belongs where that belongs, unless the request says otherwise, which is then wrong.
        var projectId = await projects.ResolveAsync(caller, request.ProjectId ?? warm?.ProjectId, cancellationToken);
        var wanted = WorkspaceRunRules.Check(request);
        var ground = warm is null
            ? await ChooseAsync(request, projectId, cancellationToken)
            : Use(warm, request, projectId);
        var now = time.GetUtcNow();
        var run = new NewWorkspaceRun
        {
            Id = Ids.New(Ids.WorkspaceRun),
            OrgId = caller.OrgId,
            ProjectId = ground.ProjectId,
            Command = wanted.Command,
            TimeoutMs = wanted.TimeoutMs,
            KeepSandbox = wanted.KeepSandbox,
            Metadata = wanted.Metadata,
            SourceMetadata = wanted.SourceMetadata,
            Artifacts = wanted.Artifacts,
            Allowance = Allow(api.Value.Limits(caller.Plan), ground),
            TemplateId = ground.TemplateId,
            TemplateVersionId = ground.TemplateVersionId,
            WarmSandboxId = warm?.Id,
            CreatedAt = now,
        };
        Activity.Current?.SetTag("crownest.workspace_run_id", run.Id);
        return await runs.InsertAsync(run, RunEventFactory.Status(WorkspaceRunStatus.AwaitingArchive, now), idempotencyId, CancellationToken.None);
    }

    private async Task<Ground> ChooseAsync(CreateWorkspaceRunRequest request, string projectId, CancellationToken cancellationToken)
    {
        var version = await templates.FreezeAsync(request.Template, request.TemplateVersionId, cancellationToken);
        var size = api.Value.Resources;
        return new Ground(
            projectId, version.TemplateId, version.Id, SandboxRules.Network(null, version.Network, sandboxOptions.Value), size.DefaultCpus,
            size.DefaultMemoryMb);
    }

    private Ground Use(SandboxRow warm, CreateWorkspaceRunRequest request, string projectId)
    {
        if (warm.ProjectId != projectId)
        {
            throw ApiException.NotFound("Sandbox");
        }

        WorkspaceRunRules.CheckTemplate(request, warm);
        if (warm.State is not (SandboxStatus.Creating or SandboxStatus.Starting or SandboxStatus.Ready))
        {
            throw SandboxReadiness.Gone(warm.State);
        }

        return warm.ExpiresAt <= time.GetUtcNow()
            ? throw SandboxReadiness.Gone(SandboxStatus.Expiring)
            : new Ground(projectId, warm.TemplateId, warm.TemplateVersionId, warm.Network, warm.Cpus, warm.MemoryMb);
    }

    private RunAllowance Allow(PlanLimits plan, Ground ground) => new(
        plan.ConcurrentSandboxes, ground.Network, ground.Cpus, ground.MemoryMb,
        (long)TimeSpan.FromDays(plan.ArtifactRetentionDays).TotalMilliseconds, artifacts.Value.MaxBytes, options.Value.MaxUnpackedBytes,
        options.Value.MaxEntries);
}
