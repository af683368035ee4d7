using CrowNest.Worker.Runtime;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;

namespace CrowNest.Worker.Http;

internal sealed class EngineHealth(EngineClient engine) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        await engine.PingAsync(cancellationToken);
        return HealthCheckResult.Healthy();
    }
}

internal sealed class DatabaseHealth(NpgsqlDataSource database) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        await using var command = database.CreateCommand("SELECT 1");
        await command.ExecuteScalarAsync(cancellationToken);
        return HealthCheckResult.Healthy();
    }
}
