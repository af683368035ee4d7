using System.Text.Json.Serialization;
using CrowNest.Platform.Database;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Redis;
using CrowNest.Platform.Storage;
using CrowNest.ServiceDefaults;
using CrowNest.ServiceDefaults.Health;
using CrowNest.Worker.Artifacts;
using CrowNest.Worker.Commands;
using CrowNest.Worker.Files;
using CrowNest.Worker.Http;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.WorkspaceRuns;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker;

internal static class WorkerServices
{
    private const string DefaultListenUrl = "http://127.0.0.1:8789";

    /// <summary>Everything of the worker but its routes.</summary>
    public static WebApplicationBuilder AddWorker(this WebApplicationBuilder builder)
    {
        builder.AddServiceDefaults(WorkerTelemetry.ServiceName).AddTransferMemory();
        var services = builder.Services;
        services.AddOptions<DeploymentOptions>().BindConfiguration(DeploymentOptions.SectionName).ValidateOnStart();
        services.AddOptions<WorkerOptions>().BindConfiguration(WorkerOptions.SectionName).ValidateOnStart()
            .PostConfigure<IConfiguration>(FillDefaults);
        services.AddSingleton<IValidateOptions<DeploymentOptions>, DeploymentOptionsValidation>();
        services.AddSingleton<IValidateOptions<WorkerOptions>, WorkerOptionsValidation>();
        services.ConfigureHttpJsonOptions(json => json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<WorkerRetries>();
        builder.AddCrowNestData();
        builder.AddCrowNestRedis();
        builder.AddCrowNestStreams();
        builder.AddCrowNestObjects();
        services.AddSingleton<WorkerRegistry>();
        services.AddSingleton<WorkerStore>();
        services.AddSingleton<Node>();
        services.AddSandboxes();
        services.AddFiles();
        services.AddArtifacts();
        services.AddCommands();
        services.AddWorkspaceRuns();
        return builder;
    }

    /// <summary>Its routes, and the address of the options, which may have come from the launcher's ASPNETCORE_URLS.</summary>
    public static WebApplication MapWorker(this WebApplication app)
    {
        app.Urls.Clear();
        app.Urls.Add(app.Services.GetRequiredService<IOptions<WorkerOptions>>().Value.ListenUrl!);
        app.MapDefaultEndpoints();
        var internalRoutes = app.MapInternal();
        internalRoutes.MapSandboxes();
        internalRoutes.MapFiles();
        internalRoutes.MapArtifacts();
        internalRoutes.MapCommands();
        return app;
    }

    private static void FillDefaults(WorkerOptions options, IConfiguration configuration)
    {
        options.ListenUrl ??= configuration["urls"]?.Split(';')[0] is { Length: > 0 } url ? url : DefaultListenUrl;
        options.AdvertisedUrl ??= options.ListenUrl;
        options.AgentDirectory ??= Path.Combine(AppContext.BaseDirectory, "agent");
    }
}
