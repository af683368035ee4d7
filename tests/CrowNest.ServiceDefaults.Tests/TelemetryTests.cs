using System.Diagnostics;
using System.Diagnostics.Metrics;
using CrowNest.ServiceDefaults.Telemetry;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

// Exporters hear every span of the process, those of other tests included.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace CrowNest.ServiceDefaults.Tests;

public sealed partial class TelemetryTests
{
    private static readonly ActivitySource Activities = new("CrowNest.Tests");
    private static readonly Meter Meter = new("CrowNest.Tests");
    private static readonly Counter<long> Eggs = Meter.CreateCounter<long>("crownest.tests.eggs");

    [Fact]
    public async Task Export_HttpProtobuf_SendsSpansMetricsAndLogs()
    {
        await using var receiver = await OtlpReceiver.StartAsync(HttpProtocols.Http1);
        await using var app = await StartServiceAsync(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=nest"));

        // Without a propagator the client makes no span of its own, which would name the path too.
        using (var http = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null }))
        {
            await http.GetStringAsync(app.Urls.Single() + "/eggs/7");
            await http.GetStringAsync(app.Urls.Single() + "/healthz");
        }

        await Eventually.HoldsAsync(() => receiver.Has("/v1/traces", "lay eggs"), "our span arrives");
        await Eventually.HoldsAsync(() => receiver.Has("/v1/traces", "/eggs/7"), "the server's span arrives with the path");
        await Eventually.HoldsAsync(() => receiver.Has("/v1/metrics", "crownest.tests.eggs"), "our counter arrives");
        await Eventually.HoldsAsync(() => receiver.Has("/v1/metrics", "http.server.request.duration"), "the server's histogram arrives");
        await Eventually.HoldsAsync(() => receiver.Has("/v1/metrics", "dotnet.gc.collections"), "the runtime's metrics arrive");
        await Eventually.HoldsAsync(() => receiver.Has("/v1/logs", "laid 7 eggs"), "the record arrives");
        Assert.True(receiver.Has("/v1/logs", "req_1"), "The request id is sent with the record.");
        Assert.True(receiver.Has("/v1/traces", "CrowNest.Tests.Service"), "The service names itself.");
        Assert.True(receiver.Has("/v1/traces", "deployment.environment.name"), "OTEL_RESOURCE_ATTRIBUTES counts.");
        Assert.False(receiver.Has("/v1/traces", "/healthz"), "Health probes are not traced.");
    }

    [Fact]
    public async Task Export_Grpc_SendsAllThreeSignals()
    {
        await using var receiver = await OtlpReceiver.StartAsync(HttpProtocols.Http2);
        await using var app = await StartServiceAsync(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Url),
            ("OTEL_SERVICE_NAME", "named-by-environment"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"));

        using (var http = new HttpClient())
            await http.GetStringAsync(app.Urls.Single() + "/eggs/8");

        const string Collector = "/opentelemetry.proto.collector.";
        await Eventually.HoldsAsync(() => receiver.Has(Collector + "trace.v1.TraceService/Export", "lay eggs"), "the span arrives");
        await Eventually.HoldsAsync(() => receiver.Has(Collector + "metrics.v1.MetricsService/Export", "crownest.tests.eggs"), "the counter arrives");
        await Eventually.HoldsAsync(() => receiver.Has(Collector + "logs.v1.LogsService/Export", "laid 8 eggs"), "the record arrives");
        Assert.True(receiver.Has(Collector + "trace.v1.TraceService/Export", "named-by-environment"), "OTEL_SERVICE_NAME wins.");
    }

    [Fact]
    public async Task Stop_WithSpansNotYetSent_SendsThem()
    {
        await using var receiver = await OtlpReceiver.StartAsync(HttpProtocols.Http1);
        // Intervals far beyond the test: only the flush can deliver.
        var app = await StartServiceAsync(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "600000"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "600000"));
        using (var http = new HttpClient())
            await http.GetStringAsync(app.Urls.Single() + "/eggs/9");

        await app.StopAsync();
        await app.DisposeAsync();

        Assert.True(receiver.Has("/v1/traces", "lay eggs"));
        Assert.True(receiver.Has("/v1/metrics", "crownest.tests.eggs"));
        Assert.True(receiver.Has("/v1/logs", "laid 9 eggs"));
    }

    [Fact]
    public async Task Start_WithoutEndpoint_ExportsNothing()
    {
        await using var app = await StartServiceAsync();

        Assert.DoesNotContain(app.Services.GetServices<IHostedService>(), service => service is TelemetryExport);
    }

    private static async Task<WebApplication> StartServiceAsync(params (string Name, string Value)[] settings)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)));
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.AddServiceDefaults("CrowNest.Tests.Service");
        var app = builder.Build();
        app.MapDefaultEndpoints();
        app.MapGet("/eggs/{count:int}", (int count, ILogger<TelemetryTests> logger) =>
        {
            using var scope = logger.BeginScope(new Dictionary<string, object> { ["crownest.request_id"] = "req_1" });
            using var activity = Activities.StartActivity("lay eggs");
            Eggs.Add(count);
            LogLaid(logger, count);
            return "ok";
        });
        await app.StartAsync();
        return app;
    }

    [LoggerMessage(1, LogLevel.Information, "laid {Count} eggs")]
    private static partial void LogLaid(ILogger logger, int count);
}
