using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Containers;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Templates;
using Docker.DotNet.Models;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Sandboxes;

/// <summary>
/// Takes on what an earlier start of this worker left: sandboxes that have a row carry on, warm ones that still fit go back to the pool,
/// everything else is reaped.
/// </summary>
internal sealed partial class SandboxAdoption(
    Node node, EngineClient engine, SandboxStore sandboxes, LiveSandboxes live, SandboxContainers containers, WarmPool pool,
    SandboxSpec spec, TemplateImages templates, SandboxReaper reaper, TimeProvider time, IEnumerable<IAdoptedSandboxObserver> observers,
    IOptions<WorkerOptions> options, ILogger<SandboxAdoption> logger)
{
    private const int AtOnce = 8;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var rows = await sandboxes.ListLiveOfWorkerAsync(node.Id, cancellationToken);
        var found = await engine.ListContainersAsync(node.State.ContainerLabel, cancellationToken);
        var byContainer = rows.Where(row => row.ContainerId is not null).ToDictionary(row => row.ContainerId!);
        var warmFingerprints = templates.Latest
            .Select(image => spec.Fingerprint(image, options.Value.DefaultCpus, options.Value.DefaultMemoryMb)).ToHashSet();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(found, parallel, async (container, token) =>
            await AdoptAsync(container, byContainer.GetValueOrDefault(container.ID), warmFingerprints, token));
        if (node.State.IsCleanedUp)
        {
            await CloseCleanedUpAsync(rows, cancellationToken);
            node.State.ForgetCleanedUp();
        }

        await reaper.RunAsync(cancellationToken);
        node.Agent.RemoveOthers(found.Where(c => containers.Owns(c.Name()))
            .Select(c => c.Label(ContainerLabels.AgentDirectory)).OfType<string>());
        if (found.Count > 0 || rows.Count > 0)
        {
            LogAdopted(live.Count, rows.Count, pool.CountByVersion().Values.Sum(), found.Count);
        }
    }

    private async Task AdoptAsync(
        ContainerListResponse found, SandboxRow? row, HashSet<string> warmFingerprints, CancellationToken cancellationToken)
    {
        // Taken on by an attempt that was broken off later.
        if (containers.Owns(found.Name()))
        {
            return;
        }

        if (await containers.AttachAsync(found, cancellationToken) is not var (container, sandboxId))
        {
            return;
        }

        if (row is not null && row.Id == sandboxId)
        {
            await AdoptAsync(row, container, cancellationToken);
        }
        else if (sandboxId is null && warmFingerprints.Contains(container.Fingerprint))
        {
            pool.Add(container);
        }
        else
        {
            await containers.RemoveAsync(container);
        }
    }

    private async Task AdoptAsync(SandboxRow row, SandboxContainer container, CancellationToken cancellationToken)
    {
        var sandbox = new LiveSandbox
        {
            Id = row.Id,
            OrgId = row.OrgId,
            ProjectId = row.ProjectId,
            ContainerId = container.ContainerId,
            Agent = container.Agent,
        };
        foreach (var observer in observers)
        {
            try
            {
                await observer.OnAdoptedAsync(sandbox, cancellationToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                LogObserverFailed(exception, row.Id);
            }
        }

        live.Add(sandbox);
    }

    /// <summary>Their containers were taken away on purpose (<c>--cleanup</c>): that is no failure.</summary>
    private async Task CloseCleanedUpAsync(List<SandboxRow> rows, CancellationToken cancellationToken)
    {
        foreach (var row in rows.Where(row => !live.TryGet(row.Id, out _)))
        {
            await sandboxes.MarkExpiringAsync(row.Id, DestroyedReason.PlatformCleanup, cancellationToken);
            await sandboxes.MarkDestroyedAsync(row.Id, time.GetUtcNow(), cancellationToken);
        }
    }

    [LoggerMessage(5171, LogLevel.Information,
        "Adopted {Live} of {Rows} sandboxes and {Warm} warm ones; {Containers} containers were there")]
    private partial void LogAdopted(int live, int rows, int warm, int containers);

    [LoggerMessage(5172, LogLevel.Error, "The commands of sandbox {SandboxId} could not be taken on")]
    private partial void LogObserverFailed(Exception exception, string sandboxId);
}
