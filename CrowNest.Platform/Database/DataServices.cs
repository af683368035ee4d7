using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Storage;
using CrowNest.Platform.Templates;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace CrowNest.Platform.Database;

public static class DataServices
{
    /// <summary>Name of the connection string, and of the database resource in the AppHost.</summary>
    public const string ConnectionName = "crownest";

    /// <summary>Name of the data source's health check, which Aspire's client integration adds.</summary>
    public const string HealthCheckName = "PostgreSql";

    /// <summary>
    /// Adds the data source from <c>ConnectionStrings:crownest</c> through Aspire's client integration, with its health check, traces and
    /// metrics, the stores, and <see cref="CrowNestDb"/> as a factory over the same connections.
    /// </summary>
    public static IHostApplicationBuilder AddCrowNestData(this IHostApplicationBuilder builder)
    {
        builder.AddNpgsqlDataSource(ConnectionName, configureDataSourceBuilder: source =>
        {
            source.Name = ConnectionName;
            // A statement is prepared after a few uses: the hot path saves parse and plan. Requests fail fast when Postgres is away.
            source.ConnectionStringBuilder.MaxAutoPrepare = 64;
            source.ConnectionStringBuilder.Timeout = 5;
            source.ConnectionStringBuilder.CommandTimeout = 10;
            // A server that is silent is not asked for long to cancel what it does: a service that stops would wait for that.
            source.ConnectionStringBuilder.CancellationTimeout = 500;
        });
        builder.Services.AddDbContextFactory<CrowNestDb>((services, options) => options.UseNpgsql(services.GetRequiredService<NpgsqlDataSource>()));
        builder.Services.AddSingleton<SandboxStore>();
        builder.Services.AddSingleton<CommandStore>();
        builder.Services.AddSingleton<TemplateVersionStore>();
        builder.Services.AddSingleton<ArtifactStore>();
        builder.Services.AddSingleton<AgentSessionStore>();
        builder.Services.AddSingleton<UsageStore>();
        builder.Services.AddSingleton<WorkspaceRunStore>();
        builder.Services.AddSingleton<ArchiveTransferStore>();
        builder.Services.AddSingleton<ObjectUseStore>();
        builder.Services.AddSingleton<LogRetentionStore>();
        builder.Services.AddSingleton<EvidenceKeyStore>();
        builder.Services.AddSingleton<RunCompletion>();
        return builder;
    }
}
