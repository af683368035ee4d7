using CrowNest.Worker.Sandboxes;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Templates;

/// <summary>Looks for new and removed template images from time to time; more often until every version is registered.</summary>
internal sealed partial class TemplateScan(
    TemplateImages templates, WarmPool pool, IOptions<WorkerOptions> options, TimeProvider time, ILogger<TemplateScan> logger)
    : BackgroundService
{
    private static readonly TimeSpan UnregisteredInterval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var failed = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            var isComplete = false;
            try
            {
                isComplete = await templates.ScanAsync(stoppingToken);
                pool.Demand();
                failed = false;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                if (!failed)
                {
                    LogFailed(exception);
                }

                failed = true;
            }

            await Task.Delay(isComplete ? options.Value.TemplateScanInterval : UnregisteredInterval, time, stoppingToken);
        }
    }

    [LoggerMessage(5202, LogLevel.Error, "Template images cannot be looked for; it is tried again")]
    private partial void LogFailed(Exception exception);
}
