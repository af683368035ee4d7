namespace CrowNest.Worker.Files;

internal static class FileServices
{
    /// <summary>The files of the node's sandboxes.</summary>
    public static IServiceCollection AddFiles(this IServiceCollection services)
    {
        services.AddSingleton<AgentFailures>();
        services.AddSingleton<AgentFiles>();
        services.AddSingleton<FileRelay>();
        return services;
    }
}
