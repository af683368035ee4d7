using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CrowNest.ServiceDefaults;

/// <summary>What every CrowNest process has in common: telemetry, console logs, service discovery, health.</summary>
public static class ServiceDefaultsExtensions
{
    /// <summary>Adds the defaults to a service.</summary>
    /// <param name="builder">The service's builder.</param>
    /// <param name="serviceName">The name under which telemetry is sent, for example <c>CrowNest.Api</c>.</param>
    public static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder, string serviceName)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(serviceName);
        builder.Services.AddHealthChecks();
        return builder;
    }

    /// <summary>
    /// Maps <c>GET /healthz</c>: 200 <c>{"status":"ok"}</c> when every registered health check passes, else 503 with the names of those
    /// that do not. The details stay in the logs.
    /// </summary>
    public static IEndpointRouteBuilder MapDefaultEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/healthz", CheckHealthAsync).ExcludeFromDescription();
        return endpoints;
    }

    private static async Task<IResult> CheckHealthAsync(HealthCheckService checks, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(cancellationToken);
        if (report.Status == HealthStatus.Healthy)
            return Results.Json(new { status = "ok" });
        var failing = report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).Select(entry => entry.Key);
        return Results.Json(new { status = "unavailable", failing }, statusCode: StatusCodes.Status503ServiceUnavailable);
    }
}
