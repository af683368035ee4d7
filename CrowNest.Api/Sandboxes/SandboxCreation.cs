using System.Diagnostics;
using System.Text.Json.Nodes;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Api.Projects;
using CrowNest.Api.Templates;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Templates;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Sandboxes;

/// <summary>
/// <c>POST /v1/sandboxes</c> (docs/reference/api.md 4.3): check, count, write the row, find a node, wait for <c>ready</c>.
/// </summary>
internal sealed partial class SandboxCreation(
    SandboxStore store, ProjectAccess projects, TemplateChoice templates, SandboxDelivery start, IOptions<SandboxOptions> options,
    IOptions<ApiOptions> api, TimeProvider time, ILogger<SandboxCreation> logger)
{
    /// <summary>Makes a sandbox; returns it <c>ready</c>, or as it is when it takes longer than <see cref="SandboxOptions.ReadyWait"/>.</summary>
    /// <param name="cancellationToken">Ends the checks; once the row is written, the sandbox is made whether anybody waits or not.</param>
    public async Task<Sandbox> CreateAsync(
        Caller caller, CreateSandboxRequest request, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var limits = api.Value.Limits(caller.Plan);
        var ttlMs = SandboxRules.CreateTtl(request.TtlMs, limits, options.Value);
        var metadata = request.Metadata ?? new Dictionary<string, string>();
        Metadata.Validate(metadata);
        var (cpus, memoryMb) = SandboxRules.Resources(request.Resources, api.Value.Resources);
        SandboxRules.CheckNetwork(request.Network, options.Value);
        SandboxRules.CheckRestoreFrom(request.RestoreFrom);
        var projectId = await projects.ResolveAsync(caller, request.ProjectId, cancellationToken);
        var (version, nodes) = await templates.ChooseAsync(request.Template, request.TemplateVersionId, cancellationToken);
        var sandbox = new NewSandbox
        {
            Id = Ids.New(Ids.Sandbox),
            OrgId = caller.OrgId,
            ProjectId = projectId,
            TemplateId = version.TemplateId,
            TemplateVersionId = version.Id,
            Network = SandboxRules.Network(request.Network, version.Network, options.Value),
            Cpus = cpus,
            MemoryMb = memoryMb,
            TtlMs = ttlMs,
            CreatedAt = time.GetUtcNow(),
            Metadata = metadata,
        };
        cancellationToken.ThrowIfCancellationRequested();
        if (await store.InsertAsync(sandbox, limits.ConcurrentSandboxes, idempotencyId, CancellationToken.None) is { } current)
        {
            throw new ApiException(ErrorCodes.QuotaExceeded,
                $"The organization has {current} live sandboxes; its plan allows {limits.ConcurrentSandboxes}.",
                new JsonObject { ["quota"] = "active_sandboxes", ["limit"] = limits.ConcurrentSandboxes, ["current"] = current });
        }

        Activity.Current?.SetTag("crownest.sandbox_id", sandbox.Id);
        return await StartAsync(sandbox, version, nodes, began);
    }

    /// <summary>The sandbox of an earlier attempt under the same idempotency key, whose instance is gone.</summary>
    public Task<Sandbox> ResumeAsync(string sandboxId) => FollowAsync(sandboxId, options.Value.ReadyWait);

    private async Task<Sandbox> StartAsync(NewSandbox sandbox, TemplateVersionRow version, IReadOnlyList<LiveWorker> nodes, long began)
    {
        var starting = start.RunAsync(
            new StartSandbox
            {
                SandboxId = sandbox.Id,
                OrgId = sandbox.OrgId,
                ProjectId = sandbox.ProjectId,
                TemplateId = sandbox.TemplateId,
                TemplateVersionId = sandbox.TemplateVersionId,
                Network = sandbox.Network,
                Cpus = sandbox.Cpus,
                MemoryMb = sandbox.MemoryMb,
            }, nodes);
        try
        {
            if (await starting.WaitAsync(options.Value.ReadyWait, time) is not { } started)
            {
                return await FollowAsync(sandbox.Id, options.Value.ReadyWait - time.GetElapsedTime(began));
            }

            SandboxMetrics.Created(time.GetElapsedTime(began), started.Warm);
            return Ready(sandbox, version, started);
        }
        catch (TimeoutException)
        {
            LogSlow(sandbox.Id);
            _ = starting.ContinueWith(LogLateFailure, TaskContinuationOptions.OnlyOnFaulted);
            return await FollowAsync(sandbox.Id, TimeSpan.Zero);
        }
    }

    /// <summary>What the row says now, which saves reading it: nobody knows the sandbox yet.</summary>
    private static Sandbox Ready(NewSandbox sandbox, TemplateVersionRow version, SandboxStarted started) => new()
    {
        Id = sandbox.Id,
        OrgId = sandbox.OrgId,
        ProjectId = sandbox.ProjectId,
        Status = SandboxStatus.Ready,
        TemplateId = sandbox.TemplateId,
        TemplateSlug = version.Slug,
        TemplateVersion = version.Version,
        TemplateVersionId = version.Id,
        TtlMs = sandbox.TtlMs,
        ExpiresAt = sandbox.CreatedAt.AddMilliseconds(sandbox.TtlMs),
        Metadata = sandbox.Metadata,
        CreatedAt = sandbox.CreatedAt,
        Network = sandbox.Network,
        Runtime = started.Runtime,
        Resources = new SandboxResources(sandbox.Cpus, sandbox.MemoryMb),
    };

    private async Task<Sandbox> FollowAsync(string id, TimeSpan wait)
    {
        var row = await start.FollowAsync(id, wait, CancellationToken.None);
        return row.State == SandboxStatus.Failed
            ? throw new ApiException(ErrorCodes.RuntimeError, row.FailureMessage ?? "The sandbox could not be started.")
            : row.ToSandbox();
    }

    private void LogLateFailure(Task task) => LogLateFailure(task.Exception!.GetBaseException());

    [LoggerMessage(2010, LogLevel.Warning, "Sandbox {SandboxId} is not ready after the wait; answering with its status.")]
    private partial void LogSlow(string sandboxId);

    [LoggerMessage(2011, LogLevel.Warning, "A sandbox could not be started after its create was answered.")]
    private partial void LogLateFailure(Exception exception);
}
