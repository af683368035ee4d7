namespace CrowNest.Worker.Artifacts;

internal static class ArtifactServices
{
    /// <summary>Exports, collections and imports. Wants the data and objects of the platform.</summary>
    public static IServiceCollection AddArtifacts(this IServiceCollection services)
    {
        services.AddSingleton<ArtifactExport>();
        services.AddHostedService(provider => provider.GetRequiredService<ArtifactExport>());
        services.AddSingleton<ObjectImport>();
        services.AddSingleton<EntryExport>();
        services.AddSingleton<CommandCollection>();
        return services;
    }
}
