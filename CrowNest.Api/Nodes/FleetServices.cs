using CrowNest.Api.Maintenance;
using CrowNest.Platform.Redis;
using CrowNest.Platform.Storage;

namespace CrowNest.Api.Nodes;

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
        services.AddSingleton<NodeClient>();
        services.AddSingleton<SandboxNode>();
        services.AddSingleton<LostOutputRecovery>();
        services.AddHostedService<LostSandboxSweeper>();
        return builder;
    }
}
