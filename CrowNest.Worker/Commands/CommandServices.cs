using CrowNest.Worker.Commands.Output;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Sandboxes;

namespace CrowNest.Worker.Commands;

internal static class CommandServices
{
    /// <summary>The commands of the node's sandboxes. Wants the data, streams and objects of the platform.</summary>
    public static IServiceCollection AddCommands(this IServiceCollection services)
    {
        services.AddSingleton(provider => new SpoolFolder(Path.Combine(provider.GetRequiredService<Node>().State.Path, "spool")));
        services.AddSingleton<OutputTaps>();
        services.AddSingleton<LogArchiver>();
        services.AddSingleton<CommandRunner>();
        services.AddHostedService(provider => provider.GetRequiredService<CommandRunner>());
        services.AddSingleton(provider =>
            ActivatorUtilities.CreateInstance<CommandReconciliation>(provider, provider.GetRequiredService<Node>().Id));
        services.AddSingleton<IAdoptedSandboxObserver>(provider => provider.GetRequiredService<CommandReconciliation>());
        services.AddHostedService(provider => provider.GetRequiredService<CommandReconciliation>());
        return services;
    }
}
