using System.Diagnostics;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace CrowNest.ServiceDefaults.Telemetry;

/// <summary>
/// Sends spans and measurements by OTLP while the service runs. The endpoint, protocol, headers, intervals, sampler and resource are
/// OpenTelemetry's standard OTEL_* settings, read by its SDK.
/// </summary>
/// <remarks>The frameworks emit by themselves what used to take instrumentation packages; it only has to be listened to.</remarks>
internal sealed class TelemetryExport(string serviceName, IConfiguration configuration) : IHostedService, IDisposable
{
    private const int FlushMilliseconds = 3000;

    private static readonly string[] Sources = ["Microsoft.AspNetCore", "System.Net.Http", "Npgsql", "CrowNest.*"];

    private static readonly string[] Meters =
    [
        "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Net.Http", "System.Runtime", "Npgsql", "CrowNest.*",
    ];

    private TracerProvider? _traces;
    private MeterProvider? _metrics;

    public static void DescribeService(ResourceBuilder resource, string serviceName)
    {
        var version = Assembly.GetEntryAssembly()?.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        // What the environment says comes last and wins.
        resource.Clear().AddTelemetrySdk().AddService(serviceName, "CrowNest", version).AddEnvironmentVariableDetector();
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _traces = Sdk.CreateTracerProviderBuilder()
            .ConfigureServices(services => services.AddSingleton(configuration))
            .ConfigureResource(resource => DescribeService(resource, serviceName))
            .AddSource(Sources)
            .AddProcessor(new HealthProbeFilter())
            .AddOtlpExporter()
            .Build();
        _metrics = Sdk.CreateMeterProviderBuilder()
            .ConfigureServices(services => services.AddSingleton(configuration))
            .ConfigureResource(resource => DescribeService(resource, serviceName))
            .AddMeter(Meters)
            .AddOtlpExporter()
            .Build();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            // At once: a collector that has gone away must not cost its timeout twice.
            Parallel.Invoke(() => _traces?.ForceFlush(FlushMilliseconds), () => _metrics?.ForceFlush(FlushMilliseconds));
        },
        CancellationToken.None);

    public void Dispose()
    {
        _traces?.Dispose();
        _metrics?.Dispose();
    }

    /// <summary>Drops the spans of health probes: one every few seconds, each alike.</summary>
    private sealed class HealthProbeFilter : BaseProcessor<Activity>
    {
        public override void OnEnd(Activity data)
        {
            if (data.Kind == ActivityKind.Server && data.GetTagItem("url.path") is HealthEndpoint.Path)
                data.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
        }
    }
}

internal static class TelemetryRegistration
{
    // The HTTP server puts OpenTelemetry's attributes on its spans only when this is off.
    private const string SuppressServerAttributes = "Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData";

    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Nothing is collected and nothing is sent unless an endpoint is configured.</summary>
    public static void AddTelemetry(this WebApplicationBuilder builder, string serviceName)
    {
        if (string.IsNullOrEmpty(builder.Configuration[Endpoint]))
            return;

        AppContext.SetSwitch(SuppressServerAttributes, false);
        builder.Services.AddSingleton<IStartupFilter, ServerSpanNames>();
        builder.Services.AddHostedService(services =>
            new TelemetryExport(serviceName, services.GetRequiredService<IConfiguration>()));
        // Logs go through the host's own container, which flushes them when it is disposed of.
        builder.Logging.AddOpenTelemetry(logging =>
        {
            logging.IncludeFormattedMessage = true;
            logging.IncludeScopes = true;
            var resource = ResourceBuilder.CreateEmpty();
            TelemetryExport.DescribeService(resource, serviceName);
            logging.SetResourceBuilder(resource);
            logging.AddOtlpExporter();
        });
    }
}
