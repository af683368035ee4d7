using System.Globalization;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Containers;
using CrowNest.Worker.Containers.Network;
using CrowNest.Worker.Nodes;
using Docker.DotNet.Models;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Sandboxes;

/// <summary>
/// Compares containers, rows and what this worker knows, and ends whatever has lost its counterpart: leftovers of crashes, of an engine
/// that was away, of rows that the API closed while the lease had lapsed.
/// </summary>
internal sealed partial class SandboxReaper(
    Node node, EngineClient engine, SandboxStore sandboxes, LiveSandboxes live, SandboxContainers containers, SandboxStarter starter,
    SandboxEndings endings, SandboxNetwork network, UidRange uids, IOptions<WorkerOptions> options, TimeProvider time,
    ILogger<SandboxReaper> logger) : BackgroundService
{
    private readonly SemaphoreSlim _one = new(1);
    private bool _failed;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            await ReapAsync(cancellationToken);
            _failed = false;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            if (!_failed)
            {
                LogFailed(exception);
            }

            _failed = true;
        }
        finally
        {
            _one.Release();
        }
    }

    public override void Dispose()
    {
        _one.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.ReapInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await RunAsync(stoppingToken);
            // An agent can hang without its container's end; nobody else would notice in a sandbox without work.
            foreach (var sandbox in live.All)
            {
                live.Suspect(sandbox.Id);
            }
        }
    }

    /// <remarks>
    /// The order matters: what this worker knows is read after containers and rows, so that whatever came into being meanwhile is known.
    /// </remarks>
    private async Task ReapAsync(CancellationToken cancellationToken)
    {
        var rows = await sandboxes.ListLiveOfWorkerAsync(node.Id, cancellationToken);
        var here = live.All.ToList();
        var found = await engine.ListContainersAsync(ContainerLabels.Deployment, cancellationToken);
        var own = found.Where(c => c.Label(ContainerLabels.Deployment) == node.State.DeploymentId).ToList();
        uids.SetForeign(found.Except(own).Select(UidOf).OfType<int>());
        await EndSandboxesWithoutContainerAsync(here, own);
        await EndSandboxesWithoutRowAsync(here, rows, cancellationToken);
        await EndRowsWithoutSandboxAsync(rows);
        foreach (var container in own.Where(c => !containers.Owns(c.Name())))
        {
            LogLeftover(container.Name());
            await containers.RemoveLeftoverAsync(container);
        }

        var names = own.Select(c => c.Name()).ToHashSet();
        containers.RemoveStraySocketFolders(names);
        await network.RemoveStrayLinksAsync(own.Select(UidOf).OfType<int>().ToHashSet(), cancellationToken);
        await network.RepairAsync(cancellationToken);
    }

    private async Task EndSandboxesWithoutContainerAsync(List<LiveSandbox> here, List<ContainerListResponse> own)
    {
        var running = own.Where(c => c.State is not ("exited" or "dead")).Select(c => c.ID).ToHashSet();
        foreach (var sandbox in here.Where(s => !running.Contains(s.ContainerId) && !endings.IsEnding(s.Id)))
        {
            await endings.FailAsync(sandbox.Id, "The sandbox's container was lost.");
        }
    }

    /// <summary>Someone else closed the row, which only happens when our lease had lapsed.</summary>
    private async Task EndSandboxesWithoutRowAsync(List<LiveSandbox> here, List<SandboxRow> rows, CancellationToken cancellationToken)
    {
        var ids = rows.Select(row => row.Id).ToHashSet();
        foreach (var sandbox in here.Where(s => !ids.Contains(s.Id) && !endings.IsEnding(s.Id) && !starter.IsStarting(s.Id)))
        {
            // A row that became live after it was looked for is no reason.
            if (await sandboxes.FindAsync(sandbox.Id, cancellationToken) is not { } row || !SandboxStates.IsLive(row.State))
            {
                LogClosed(sandbox.Id);
                await endings.DestroyAsync(sandbox.Id);
            }
        }
    }

    private async Task EndRowsWithoutSandboxAsync(List<SandboxRow> rows)
    {
        foreach (var row in rows.Where(row => row.State != SandboxStatus.Expiring))
        {
            if (!live.TryGet(row.Id, out _) && !starter.IsStarting(row.Id) && !endings.IsEnding(row.Id))
            {
                await endings.FailAsync(row.Id, "The node lost this sandbox.");
            }
        }
    }

    private static int? UidOf(ContainerListResponse container) =>
        int.TryParse(container.Label(ContainerLabels.Uid), CultureInfo.InvariantCulture, out var uid) ? uid : null;

    [LoggerMessage(5161, LogLevel.Error, "Leftovers cannot be looked for; it is tried again")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(5162, LogLevel.Warning, "Container {Name} belongs to nobody and is removed")]
    private partial void LogLeftover(string name);

    [LoggerMessage(5163, LogLevel.Warning, "Sandbox {SandboxId} was closed while this node's lease had lapsed")]
    private partial void LogClosed(string sandboxId);
}
