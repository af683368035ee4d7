using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace CrowNest.Platform.Streams;

public static class StreamServices
{
    /// <summary>
    /// Adds <see cref="RedisConnection"/>, <see cref="CommandLogWriter"/>, <see cref="ICommandLogReader"/>, <see cref="RunJobs"/> and
    /// <see cref="RunWakeUps"/>. The reader also wants <c>AddCrowNestData</c> and <c>AddCrowNestObjects</c>.
    /// </summary>
    public static IHostApplicationBuilder AddCrowNestStreams(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.TryAddSingleton<RedisConnection>();
        builder.Services.AddSingleton<CommandLogWriter>();
        builder.Services.AddSingleton<ICommandLogReader, CommandLogReader>();
        builder.Services.AddSingleton<RunJobs>();
        builder.Services.AddSingleton<RunWakeUps>();
        return builder;
    }
}
