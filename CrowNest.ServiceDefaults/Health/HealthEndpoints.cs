using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CrowNest.ServiceDefaults.Health;

/// <summary>Health as launchers, load balancers and Aspire ask for it.</summary>
public static class HealthEndpoints
{
    private const string Serving = "/healthz";
    private const string Ready = "/health";
    private const string Alive = "/alive";

    /// <summary>
    /// Maps <c>GET /healthz</c> (the checks tagged <see cref="HealthTags.Serving"/>), <c>/health</c> (all checks) and <c>/alive</c> (those
    /// tagged <see cref="HealthTags.Live"/>): 200 <c>{"status":"ok"}</c>, else 503 with the names of the checks that fail. The details stay
    /// in the logs.
    /// </summary>
    public static IEndpointRouteBuilder MapDefaultEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapCheck(Serving, check => check.Tags.Contains(HealthTags.Serving));
        endpoints.MapCheck(Ready, _ => true);
        endpoints.MapCheck(Alive, check => check.Tags.Contains(HealthTags.Live));
        return endpoints;
    }

    internal static IServiceCollection AddDefaultHealthChecks(this IServiceCollection services)
    {
        services.AddHealthChecks().AddCheck("self", () => HealthCheckResult.Healthy(), [HealthTags.Live]);
        return services;
    }

    /// <summary>Whether a request asks for health: one every few seconds, each alike.</summary>
    internal static bool IsProbe(HttpContext context) => context.Request.Path.Value is Serving or Ready or Alive;

    private static void MapCheck(this IEndpointRouteBuilder endpoints, string path, Func<HealthCheckRegistration, bool> isAsked) =>
        endpoints.MapGet(
            path,
            async (HealthCheckService checks, CancellationToken cancellationToken) =>
                Answer(await checks.CheckHealthAsync(isAsked, cancellationToken)))
            .AllowAnonymous().ExcludeFromDescription();

    private static IResult Answer(HealthReport report)
    {
        if (report.Status == HealthStatus.Healthy)
            return Results.Json(new { status = "ok" });
        var failing = report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).Select(entry => entry.Key);
        return Results.Json(new { status = "unavailable", failing }, statusCode: StatusCodes.Status503ServiceUnavailable);
    }
}
