using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace CrowNest.ServiceDefaults.Telemetry;

/// <summary>
/// Sends what is left when the service stops. The providers would do it when they are disposed of, one after the other and with five
/// seconds each, which a collector that has gone away would cost in full.
/// </summary>
internal sealed class TelemetryFlush(IServiceProvider services) : IHostedService
{
    /// <summary>A collector on the same network answers in milliseconds.</summary>
    private const int Milliseconds = 1000;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.WhenAll(
        Task.Run(() => services.GetService<TracerProvider>()?.Shutdown(Milliseconds), CancellationToken.None),
        Task.Run(() => services.GetService<MeterProvider>()?.Shutdown(Milliseconds), CancellationToken.None),
        Task.Run(() => services.GetService<LoggerProvider>()?.Shutdown(Milliseconds), CancellationToken.None));
}
