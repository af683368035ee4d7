using CrowNest.Platform.WorkspaceRuns;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace CrowNest.Platform.Data;

public static class DataServices
{
    /// <summary>Name of the connection string, and of the database resource in the AppHost.</summary>
    public const string ConnectionName = "crownest";

    /// <summary>Adds the data source, the stores and <see cref="CrowNestDb"/> (as a factory) from <c>ConnectionStrings:crownest</c>.</summary>
    public static IHostApplicationBuilder AddCrowNestData(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton(services =>
        {
            var connectionString = services.GetRequiredService<IConfiguration>().GetConnectionString(ConnectionName)
                ?? throw new InvalidOperationException($"ConnectionStrings__{ConnectionName} is not set.");
            var source = new NpgsqlDataSourceBuilder(connectionString) { Name = "crownest" };
            // A statement is prepared after a few uses: the hot path saves parse and plan. Requests fail fast when Postgres is away.
            source.ConnectionStringBuilder.MaxAutoPrepare = 64;
            source.ConnectionStringBuilder.Timeout = 5;
            source.ConnectionStringBuilder.CommandTimeout = 10;
            return source.Build();
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
        builder.Services.AddSingleton<RunClosing>();
        return builder;
    }
}
