using CrowNest.Platform.Sandboxes;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace CrowNest.Worker.Files;

internal static class FileServices
{
    /// <summary>The files of the node's sandboxes.</summary>
    public static IServiceCollection AddFiles(this IServiceCollection services)
    {
        // The longest path has three characters for each of its bytes when it is encoded; the rest is for what comes with it.
        services.Configure<KestrelServerOptions>(kestrel => kestrel.Limits.MaxRequestLineSize = 3 * WorkspacePath.MaxBytes + 4096);
        services.AddSingleton<AgentFailures>();
        services.AddSingleton<AgentFiles>();
        services.AddSingleton<FileRelay>();
        return services;
    }
}
