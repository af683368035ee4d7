using CrowNest.Worker.Containers;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CrowNest.Worker.Http;

internal sealed class EngineHealth(EngineClient engine) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        await engine.PingAsync(cancellationToken);
        return HealthCheckResult.Healthy();
    }
}
