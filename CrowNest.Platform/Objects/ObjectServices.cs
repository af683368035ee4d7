using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace CrowNest.Platform.Objects;

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
            Create(services.GetRequiredService<IOptions<ObjectsOptions>>().Value, services.GetRequiredService<TimeProvider>()));
        return builder;
    }

    internal static IObjectStore Create(ObjectsOptions options, TimeProvider clock) => options.Driver == ObjectsOptions.S3
        ? new S3ObjectStore(options)
        : new FolderObjectStore(options.Directory!, clock);
}
