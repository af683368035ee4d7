using CrowNest.Worker.WorkspaceRuns.Claiming;
using CrowNest.Worker.WorkspaceRuns.Stages;

namespace CrowNest.Worker.WorkspaceRuns;

internal static class RunServices
{
    /// <summary>Workspace runs on this node. Wants sandboxes, files, artifacts and commands.</summary>
    public static IServiceCollection AddWorkspaceRuns(this IServiceCollection services)
    {
        services.AddSingleton<RunSandboxes>();
        services.AddSingleton<RunExtraction>();
        services.AddSingleton<RunCommand>();
        services.AddSingleton<RunOutput>();
        services.AddSingleton<RunCollection>();
        services.AddSingleton<ClaimedRunCompletion>();
        services.AddSingleton<RunOrchestration>();
        services.AddSingleton<RunIntake>();
        services.AddHostedService(provider => provider.GetRequiredService<RunIntake>());
        return services;
    }
}
