using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace CrowNest.Platform.Storage;

public static class ObjectServices
{
    /// <summary>Adds <see cref="IObjectStore"/> as section <c>Objects</c> says; a wrong setting ends the start.</summary>
    public static IHostApplicationBuilder AddCrowNestObjects(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddOptions<ObjectsOptions>().BindConfiguration(ObjectsOptions.SectionName)
            .ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(services =>
            Create(
                services.GetRequiredService<IOptions<ObjectsOptions>>().Value,
                services.GetRequiredService<TimeProvider>(),
                services.GetRequiredService<ILoggerFactory>()));
        builder.Services.AddHostedService<ObjectPreparation>();
        return builder;
    }

    internal static IObjectStore Create(ObjectsOptions options, TimeProvider clock, ILoggerFactory loggers) =>
        options.Driver == ObjectsOptions.S3
            ? new S3ObjectStore(options, clock, loggers.CreateLogger<S3ObjectStore>())
            : new FolderObjectStore(options, clock);

    /// <summary>Beside the start, which must not wait for a store that is away.</summary>
    private sealed class ObjectPreparation(IObjectStore store) : BackgroundService
    {
        protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
            store is S3ObjectStore s3 ? s3.PrepareAsync(stoppingToken) : Task.CompletedTask;
    }
}
