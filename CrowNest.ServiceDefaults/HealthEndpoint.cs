using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CrowNest.ServiceDefaults;

/// <summary>Health as launchers and load balancers ask for it.</summary>
public static class HealthEndpoint
{
    internal const string Path = "/healthz";

    /// <summary>
    /// Maps <c>GET /healthz</c>: 200 <c>{"status":"ok"}</c> when every registered health check passes, else 503 with the names of those
    /// that do not. The details stay in the logs.
    /// </summary>
    public static IEndpointRouteBuilder MapDefaultEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet(Path, CheckAsync).AllowAnonymous().ExcludeFromDescription();
        return endpoints;
    }

    private static async Task<IResult> CheckAsync(HealthCheckService checks, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(cancellationToken);
        if (report.Status == HealthStatus.Healthy)
            return Results.Json(new { status = "ok" });
        var failing = report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).Select(entry => entry.Key);
        return Results.Json(new { status = "unavailable", failing }, statusCode: StatusCodes.Status503ServiceUnavailable);
    }
}
