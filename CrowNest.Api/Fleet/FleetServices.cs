using CrowNest.Platform.Objects;
using CrowNest.Platform.Streams;

namespace CrowNest.Api.Fleet;

internal static class FleetServices
{
    /// <summary>Nodes: who lives, how to speak to them, and what happens to their rows when they are lost.</summary>
    public static WebApplicationBuilder AddFleet(this WebApplicationBuilder builder)
    {
        builder.AddCrowNestObjects();
        builder.AddCrowNestStreams();
        var services = builder.Services;
        services.AddOptions<FleetOptions>().BindConfiguration(FleetOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<LiveWorkers>();
        services.AddSingleton<WorkerClient>();
        services.AddSingleton<SandboxNode>();
        services.AddSingleton<OutputRescue>();
        services.AddHostedService<BookCloser>();
        return builder;
    }
}
