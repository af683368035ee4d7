using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Nodes;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Sandboxes;

/// <summary>
/// Destroys what is due: killed, past its deadline, idle for too long. What is due is the database's word alone, so restarts and extended
/// deadlines need nothing here.
/// </summary>
internal sealed partial class SandboxSweep(
    Node node, SandboxStore sandboxes, SandboxEndings endings, IOptions<WorkerOptions> options, TimeProvider time,
    ILogger<SandboxSweep> logger) : BackgroundService
{
    /// <summary>Destroys this sandbox if it is due, and returns when that is done.</summary>
    public async Task ReconcileAsync(string id, CancellationToken cancellationToken)
    {
        if ((await TakeDueAsync(id, cancellationToken)).Contains(id))
        {
            await endings.DestroyAsync(id);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.SweepInterval, time);
        var failures = 0;
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                foreach (var id in await TakeDueAsync(onlyId: null, stoppingToken))
                {
                    if (!endings.IsEnding(id))
                    {
                        // Reports its own failure.
                        _ = endings.DestroyAsync(id);
                    }
                }

                failures = 0;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // Once per loss, not four times a second.
                if (failures++ == 0)
                {
                    LogFailed(exception);
                }
            }
        }
    }

    private Task<List<string>> TakeDueAsync(string? onlyId, CancellationToken cancellationToken) =>
        sandboxes.TakeDueAsync(node.Id, time.GetUtcNow(), options.Value.IdleAfter, onlyId, cancellationToken);

    [LoggerMessage(5141, LogLevel.Error, "The sweep cannot read what is due; it goes on trying")]
    private partial void LogFailed(Exception exception);
}
