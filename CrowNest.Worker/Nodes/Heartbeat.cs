using CrowNest.Platform.Nodes;
using CrowNest.Worker.Containers;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.Templates;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Nodes;

/// <summary>
/// Keeps the lease, and tells of stock and load. A worker that was told to stop keeps its lease as long as one of its sandboxes may live:
/// they run on, and the next start takes them on.
/// </summary>
internal sealed partial class Heartbeat(
    Node node, NodeCapacity capacity, WarmPool pool, TemplateImages templates, EngineClient engine, WorkerStore workers,
    WorkerRegistry registry, IOptions<WorkerOptions> options, TimeProvider time, ILogger<Heartbeat> logger) : BackgroundService
{
    private static readonly TimeSpan SnapshotInterval = TimeSpan.FromSeconds(1);
    private const int RenewalsPerLease = 3;

    /// <summary>After a failure: the API waits only so long before it takes a lapsed lease for a lost node (<c>Api:Fleet:OutageGrace</c>).</summary>
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly TimeSpan _lease = TimeSpan.FromSeconds(options.Value.LeaseSeconds);
    private string? _runtime;
    private bool _leaseFailed;
    private bool _snapshotFailed;

    /// <summary>Takes or renews the lease.</summary>
    public async Task RenewAsync(CancellationToken cancellationToken)
    {
        // Asked once: an engine that is away for a moment is no reason to lose the lease.
        _runtime ??= options.Value.Runtime ?? (await engine.GetInfoAsync(cancellationToken)).DefaultRuntime;
        await workers.RenewLeaseAsync(node.Id, options.Value.AdvertisedUrl!, _runtime, time.GetUtcNow(), _lease, cancellationToken);
    }

    /// <summary>A clean stop: see the class.</summary>
    public async Task RetireAsync(CancellationToken cancellationToken)
    {
        await workers.RetireAsync(node.Id, time.GetUtcNow(), cancellationToken);
        await registry.RemoveAsync(node.Id);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        RepeatAsync(_lease / RenewalsPerLease, RenewLoggedAsync, stoppingToken),
        RepeatAsync(SnapshotInterval, PublishLoggedAsync, stoppingToken));

    private async Task RepeatAsync(TimeSpan interval, Func<CancellationToken, Task<bool>> action, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        do
        {
            timer.Period = await action(stoppingToken) ? interval : RetryInterval;
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task<bool> RenewLoggedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await RenewAsync(cancellationToken);
            _leaseFailed = false;
            return true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            if (!_leaseFailed)
            {
                LogLeaseFailed(exception);
            }

            _leaseFailed = true;
            return false;
        }
    }

    private async Task<bool> PublishLoggedAsync(CancellationToken cancellationToken)
    {
        try
        {
            var stock = pool.CountByVersion();
            await registry.PublishAsync(
                new WorkerSnapshot
                {
                    WorkerId = node.Id,
                    Url = options.Value.AdvertisedUrl!,
                    Running = capacity.Running,
                    Capacity = capacity.Limit,
                    WarmByTemplateVersion = templates.All.ToDictionary(t => t.VersionId, t => stock.GetValueOrDefault(t.VersionId)),
                },
                _lease).WaitAsync(cancellationToken);
            _snapshotFailed = false;
            return true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            if (!_snapshotFailed)
            {
                LogSnapshotFailed(exception);
            }

            _snapshotFailed = true;
            return false;
        }
    }

    [LoggerMessage(5011, LogLevel.Error, "The lease cannot be renewed; it is tried again")]
    private partial void LogLeaseFailed(Exception exception);

    [LoggerMessage(5012, LogLevel.Warning, "Stock and load cannot be published; sandboxes go on without")]
    private partial void LogSnapshotFailed(Exception exception);
}
