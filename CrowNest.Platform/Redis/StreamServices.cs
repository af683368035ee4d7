using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace CrowNest.Platform.Redis;

public static class StreamServices
{
    /// <summary>
    /// Adds <see cref="RedisConnection"/> to <c>ConnectionStrings:redis</c> through Aspire's client integration, with its health check
    /// and traces.
    /// </summary>
    public static IHostApplicationBuilder AddCrowNestRedis(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddRedisClient(RedisConnection.ConnectionName, configureOptions: RedisConnection.Configure);
        builder.Services.AddSingleton(services => new RedisConnection(services.GetRequiredService<IConnectionMultiplexer>));
        builder.Services.AddHostedService<RedisStart>();
        return builder;
    }

    /// <summary>
    /// Adds <see cref="CommandLogWriter"/>, <see cref="ICommandLogReader"/>, <see cref="RunJobs"/> and <see cref="RunWakeUps"/>, which
    /// want <see cref="AddCrowNestRedis"/>. The reader also wants <c>AddCrowNestData</c> and <c>AddCrowNestObjects</c>.
    /// </summary>
    public static IHostApplicationBuilder AddCrowNestStreams(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<CommandLogWriter>();
        builder.Services.AddSingleton<ICommandLogReader, CommandLogReader>();
        builder.Services.AddSingleton<RunJobs>();
        builder.Services.AddSingleton<RunWakeUps>();
        return builder;
    }

    /// <summary>Beside the start, which must not wait for a Redis that is away.</summary>
    private sealed class RedisStart(RedisConnection redis) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            redis.Begin();
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
