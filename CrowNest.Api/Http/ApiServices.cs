using CrowNest.Api.Auth;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Bootstrap;
using CrowNest.Api.Maintenance;
using CrowNest.Contracts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Redis;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Http;

/// <summary>What all routes share: settings, storage, and the way of a request.</summary>
internal static class ApiServices
{
    /// <summary>
    /// What a request may send before its handler sees it. Kestrel would refuse longer ones without an envelope; up to these bounds
    /// <see cref="RequestSize"/> refuses them with one (H3).
    /// </summary>
    private const int HardHeaderBytes = 256 * 1024;

    public static WebApplicationBuilder AddApi(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        // First, because hosted services start in order and the others want the tables.
        services.AddBootstrap();
        services.AddOptions<ApiOptions>().BindConfiguration("Api").ValidateOnStart();
        services.AddOptions<ApiDeploymentOptions>().BindConfiguration("CrowNest").ValidateOnStart();
        services.AddSingleton<IValidateOptions<ApiOptions>, ApiOptionsValidator>();
        services.AddSingleton<IValidateOptions<ApiDeploymentOptions>, DeploymentOptionsValidator>();
        services.TryAddSingleton(TimeProvider.System);
        services.AddHttpContextAccessor();
        services.ConfigureHttpJsonOptions(json => CrowNestJson.Configure(json.SerializerOptions));

        builder.AddCrowNestData();
        // For its health check: the data source tells the rest. Without retries, which a transaction that we begin could not have.
        builder.EnrichNpgsqlDbContext<CrowNestDb>(settings =>
        {
            settings.DisableRetry = true;
            settings.DisableTracing = true;
            settings.DisableMetrics = true;
        });
        builder.AddCrowNestRedis();
        services.AddSingleton<WorkerStore>();
        services.AddSingleton<WorkerRegistry>();

        services.AddSingleton<PublicUrls>();
        services.AddSingleton<SigningKeys>();
        services.AddSingleton<SignedUrls>();
        services.AddHostedService<SigningKeyRotation>();
        services.AddCors();
        services.AddSingleton<Transfers>();
        services.AddSingleton<CredentialStore>();
        services.AddSingleton<HumanSessions>();
        services.AddSingleton<TokenBuckets>();
        services.AddSingleton<IdempotencyStore>();
        services.AddHostedService<IdempotencySweeper>();
        services.AddTransient<RequestIdForwarding>();

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestLineSize = HardHeaderBytes;
            kestrel.Limits.MaxRequestHeadersTotalSize = HardHeaderBytes;
            kestrel.Limits.MaxRequestHeaderCount = 1000;
        });
        if (builder.Configuration[WebHostDefaults.ServerUrlsKey] is null)
        {
            builder.WebHost.UseUrls(builder.Configuration["Api:ListenUrl"] ?? new ApiOptions().ListenUrl);
        }

        return builder;
    }

    /// <summary>The way of a request, in the order of checks of docs/reference/api.md 2.6.</summary>
    public static WebApplication UseApi(this WebApplication app)
    {
        app.UseMiddleware<RequestIds>();
        app.UseMiddleware<Errors>();
        if (app.Services.GetRequiredService<PublicUrls>().PathBase is { HasValue: true } prefix)
        {
            app.UsePathBase(prefix);
        }

        app.UseRouting();
        // Before everything that can refuse, so that a page can read why; a preflight comes without a signature and ends here.
        app.UseCors();
        app.UseMiddleware<RequestSize>();
        app.UseMiddleware<Authentication>();
        app.UseMiddleware<RateLimit>();
        app.UseMiddleware<Authorization>();
        app.UseMiddleware<Idempotency>();
        return app;
    }
}
