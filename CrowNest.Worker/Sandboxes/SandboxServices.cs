using CrowNest.Platform.Database;
using CrowNest.ServiceDefaults.Health;
using CrowNest.Worker.Containers;
using CrowNest.Worker.Containers.Network;
using CrowNest.Worker.Http;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Templates;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CrowNest.Worker.Sandboxes;

internal static class SandboxServices
{
    /// <summary>The node's sandboxes: engine, templates, containers, warm pool, deadlines, network, adoption, lease.</summary>
    public static IServiceCollection AddSandboxes(this IServiceCollection services)
    {
        services.AddSingleton<EngineClient>();
        services.AddSingleton<TemplateImages>();
        services.AddSingleton<ResolverList>();
        services.AddSingleton<SandboxNetwork>();
        services.AddSingleton<UidRange>();
        services.AddSingleton<SandboxSpec>();
        services.AddSingleton<SandboxContainers>();
        services.AddSingleton<LiveSandboxes>();
        services.AddSingleton<NodeCapacity>();
        services.AddSingleton<WarmPool>();
        services.AddSingleton<CreationGate>();
        services.AddSingleton<SandboxStarter>();
        services.AddSingleton<SandboxEndings>();
        services.AddSingleton<SandboxAdoption>();
        services.AddSingleton<SandboxFigures>();

        // Hosted services start in this order, and the server after them: nobody is served before the node has found its sandboxes again.
        services.AddHostedService<NodeStartup>();
        services.AddHosted<Heartbeat>();
        services.AddHosted<SandboxSweep>();
        services.AddHosted<SandboxReaper>();
        services.AddHostedService<ContainerWatch>();
        services.AddHostedService<TemplateScan>();
        services.AddHostedService<WarmPoolRefill>();
        services.AddHealthChecks().AddCheck<EngineHealth>("engine", tags: [HealthTags.Serving]);
        services.PostConfigure<HealthCheckServiceOptions>(
            health => health.Registrations.Single(check => check.Name == DataServices.HealthCheckName).Tags.Add(HealthTags.Serving));
        return services;
    }

    /// <summary>A hosted service that others call, too.</summary>
    private static void AddHosted<T>(this IServiceCollection services)
        where T : class, IHostedService
    {
        services.AddSingleton<T>();
        services.AddHostedService(provider => provider.GetRequiredService<T>());
    }
}
