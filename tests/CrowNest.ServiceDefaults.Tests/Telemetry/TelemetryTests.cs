using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Trace;
using Xunit.Sdk;
using Xunit.v3;

// Exporters hear every span of the process, those of other tests included.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace CrowNest.ServiceDefaults.Tests.Telemetry;

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

        using (var http = Caller())
        {
            await http.GetStringAsync(app.Url + "/eggs/7");
            await http.GetStringAsync(app.Url + "/healthz");
            await http.GetStringAsync(app.Url + "/health");
            await http.GetStringAsync(app.Url + "/alive");
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
        Assert.True(receiver.Has("/v1/traces", "GET /eggs/{count:int}"), "The server's span is named by its route.");
        Assert.False(receiver.Has("/v1/traces", "/healthz"), "Health probes are not traced.");
        Assert.False(receiver.Has("/v1/traces", "/health"), "Health probes are not traced.");
        Assert.False(receiver.Has("/v1/traces", "/alive"), "Health probes are not traced.");
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

        using (var http = Caller())
            await http.GetStringAsync(app.Url + "/eggs/8");

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
        using (var http = Caller())
            await http.GetStringAsync(app.Url + "/eggs/9");

        await app.StopAsync();
        await app.DisposeAsync();

        Assert.True(receiver.Has("/v1/traces", "lay eggs"));
        Assert.True(receiver.Has("/v1/metrics", "crownest.tests.eggs"));
        Assert.True(receiver.Has("/v1/logs", "laid 9 eggs"));
    }

    [Fact]
    public async Task Stop_CollectorNeverAnswers_IsNotHeldUp()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var service = await StartServiceAsync(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://{silent.LocalEndpoint}"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"));
        using (var http = Caller())
            await http.GetStringAsync(service.Url + "/eggs/10");

        var began = Stopwatch.GetTimestamp();
        await service.StopAsync();
        await service.DisposeAsync();

        // Each of the three signals alone would wait five seconds.
        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(4));
    }

    [Fact]
    public async Task Start_WithoutEndpoint_CollectsNothing()
    {
        await using var service = await StartServiceAsync();

        Assert.Null(service.Services.GetService<TracerProvider>());
        Assert.Equal("true", service.Services.GetRequiredService<IConfiguration>()["Aspire:Npgsql:DisableTracing"]);
        Assert.False(Activities.HasListeners());
    }

    [Fact]
    public async Task Sampler_BackgroundCall_MakesNoTraceAndIsNotFollowed()
    {
        await using var receiver = await OtlpReceiver.StartAsync(HttpProtocols.Http1);
        var service = await StartServiceAsync(("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Url), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"));
        using (var poll = Activities.StartActivity("poll", ActivityKind.Client))
        using (Activities.StartActivity("poll's step"))
            Assert.False(poll?.Recorded);
        using (Activities.StartActivity("own work"))
        using (Activities.StartActivity("call of own work", ActivityKind.Client))
        {
            // Both are to be sent.
        }

        await service.StopAsync();
        await service.DisposeAsync();

        Assert.True(receiver.Has("/v1/traces", "own work"));
        Assert.True(receiver.Has("/v1/traces", "call of own work"));
        Assert.False(receiver.Has("/v1/traces", "poll"));
    }

    [Fact]
    public async Task Sampler_SetByTheEnvironment_IsTheOne()
    {
        await using var receiver = await OtlpReceiver.StartAsync(HttpProtocols.Http1);
        await using var service = await StartServiceAsync(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Url), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_TRACES_SAMPLER", "always_on"));

        using var poll = Activities.StartActivity("poll", ActivityKind.Client);

        Assert.True(poll?.Recorded);
    }

    /// <summary>
    /// Somebody outside: without a propagator it makes no span of its own, which in this process would be a background call, and what
    /// follows from it would not be traced.
    /// </summary>
    private static HttpClient Caller() => new(new SocketsHttpHandler { ActivityHeadersPropagator = null });

    private static Task<TestService> StartServiceAsync(params (string Name, string Value)[] settings) => TestService.StartAsync(
        map: app => app.MapGet("/eggs/{count:int}", (int count, ILogger<TelemetryTests> logger) =>
        {
            using var scope = logger.BeginScope(new Dictionary<string, object> { ["crownest.request_id"] = "req_1" });
            using var activity = Activities.StartActivity("lay eggs");
            Eggs.Add(count);
            LogLaid(logger, count);
            return "ok";
        }),
        settings: settings);

    [LoggerMessage(1, LogLevel.Information, "laid {Count} eggs")]
    private static partial void LogLaid(ILogger logger, int count);
}
