namespace CrowNest.Worker.Sandboxes;

internal static class SandboxServices
{
    /// <summary>The node's sandboxes: containers, warm pool, deadlines, adoption.</summary>
    public static IServiceCollection AddSandboxes(this IServiceCollection services)
    {
        services.AddSingleton<LiveSandboxes>();
        return services;
    }
}
