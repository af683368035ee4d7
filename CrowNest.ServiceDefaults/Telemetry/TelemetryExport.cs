using System.Reflection;
using CrowNest.ServiceDefaults.Health;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace CrowNest.ServiceDefaults.Telemetry;

/// <summary>
/// Sends traces, metrics and logs by OTLP. The endpoint, protocol, headers, intervals, sampler and resource are OpenTelemetry's standard
/// OTEL_* settings, read by its SDK.
/// </summary>
internal static class TelemetryExport
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string Sampler = "OTEL_TRACES_SAMPLER";
    private const string OwnSources = "CrowNest.*";

    // Aspire's client integrations would collect what nobody is sent.
    private static readonly Dictionary<string, string?> NothingCollected = new()
    {
        ["Aspire:Npgsql:DisableTracing"] = "true",
        ["Aspire:Npgsql:DisableMetrics"] = "true",
        ["Aspire:Npgsql:EntityFrameworkCore:PostgreSQL:DisableTracing"] = "true",
        ["Aspire:Npgsql:EntityFrameworkCore:PostgreSQL:DisableMetrics"] = "true",
        ["Aspire:StackExchange:Redis:DisableTracing"] = "true",
    };

    /// <summary>Nothing is collected and nothing is sent unless an endpoint is configured.</summary>
    public static void AddTelemetry(this WebApplicationBuilder builder, string serviceName)
    {
        if (string.IsNullOrEmpty(builder.Configuration[Endpoint]))
        {
            builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = NothingCollected });
            return;
        }

        builder.Services.AddHostedService<TelemetryFlush>();
        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => DescribeService(resource, serviceName))
            .WithTracing(traces =>
            {
                traces.AddSource(OwnSources)
                    .AddAspNetCoreInstrumentation(server => server.Filter = context => !HealthEndpoints.IsProbe(context))
                    .AddHttpClientInstrumentation();
                if (string.IsNullOrEmpty(builder.Configuration[Sampler]))
                    traces.SetSampler(new ParentBasedSampler(new RequestSampler()));
            })
            .WithMetrics(metrics => metrics.AddMeter(OwnSources)
                .AddAspNetCoreInstrumentation().AddHttpClientInstrumentation().AddRuntimeInstrumentation())
            .WithLogging(null, logs =>
            {
                logs.IncludeFormattedMessage = true;
                logs.IncludeScopes = true;
            })
            .UseOtlpExporter();
    }

    private static void DescribeService(ResourceBuilder resource, string serviceName)
    {
        var version = Assembly.GetEntryAssembly()?.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        // What the environment says comes last and wins.
        resource.Clear().AddTelemetrySdk().AddService(serviceName, "CrowNest", version).AddEnvironmentVariableDetector();
    }
}
