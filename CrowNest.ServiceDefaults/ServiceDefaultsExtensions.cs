using CrowNest.ServiceDefaults.Health;
using CrowNest.ServiceDefaults.Logging;
using CrowNest.ServiceDefaults.Telemetry;
using CrowNest.ServiceDefaults.Transfers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace CrowNest.ServiceDefaults;

/// <summary>What every CrowNest process has in common: console lines, telemetry, health, service discovery, a bounded shutdown.</summary>
public static class ServiceDefaultsExtensions
{
    // Nothing of ours waits that long: this ends open streams, and what waits for a database that accepts and does not answer. A stack stops
    // within 8 s, its services first.
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(2.5);

    // What the frameworks tell about every request and query is in the traces; what the loss of Redis means is told by who misses it,
    // once and not with every attempt to connect. Any Logging:LogLevel setting overrides these.
    private static readonly Dictionary<string, string?> QuietFrameworks = new()
    {
        ["Logging:LogLevel:Default"] = "Information",
        ["Logging:LogLevel:Microsoft.AspNetCore"] = "Warning",
        ["Logging:LogLevel:Microsoft.EntityFrameworkCore"] = "Warning",
        ["Logging:LogLevel:Microsoft.Extensions.Diagnostics.HealthChecks"] = "Warning",
        ["Logging:LogLevel:Npgsql"] = "Warning",
        ["Logging:LogLevel:Polly"] = "Warning",
        ["Logging:LogLevel:StackExchange.Redis"] = "Critical",
        ["Logging:LogLevel:System.Net.Http.HttpClient"] = "Warning",
    };

    /// <summary>For a service through which gigabytes go: lets its server read and write in larger blocks.</summary>
    public static WebApplicationBuilder AddTransferMemory(this WebApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddSingleton<IMemoryPoolFactory<byte>, TransferMemory>();
        return builder;
    }

    /// <summary>Adds the defaults to a service; call it first, so that what it starts is stopped last.</summary>
    /// <param name="builder">The service's builder.</param>
    /// <param name="serviceName">The name under which telemetry is sent, unless <c>OTEL_SERVICE_NAME</c> gives another.</param>
    public static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder, string serviceName)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(serviceName);
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = QuietFrameworks });
        builder.AddConsoleLines();
        builder.AddTelemetry(serviceName);
        builder.Services.AddDefaultHealthChecks();
        builder.Services.AddServiceDiscovery();
        builder.Services.ConfigureHttpClientDefaults(http => http.AddServiceDiscovery());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        return builder;
    }
}
