using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Storage;
using CrowNest.Platform.Templates;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Artifacts;
using CrowNest.Worker.Files;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using Microsoft.AspNetCore.Builder;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace CrowNest.Worker.Tests.Files;

/// <summary>The file and artifact side of a worker, with agents that a test brings along instead of containers.</summary>
internal sealed class FileNode : IAsyncDisposable
{
    public static readonly TimeSpan Stall = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan Within = TimeSpan.FromSeconds(2);

    private const string Secret = "a-deployment-secret-of-the-tests-0123456789";

    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"crownest-test-files-{Guid.NewGuid():n}");
    private readonly string _url = $"http://127.0.0.1:{FreePort.Next()}";
    private readonly PostgresFixture _postgres;
    private readonly string _connectionString;
    private readonly TcpRelay _relay;
    private WebApplication? _app;

    private FileNode(PostgresFixture postgres, string connectionString)
    {
        _postgres = postgres;
        _connectionString = connectionString;
        _relay = new TcpRelay(new NpgsqlConnectionStringBuilder(connectionString).Port);
        Database = NpgsqlDataSource.Create(connectionString);
        Artifacts = new ArtifactStore(Database);
        Http = new HttpClient { BaseAddress = new Uri(_url), Timeout = TimeSpan.FromMinutes(2) };
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Secret);
    }

    public HttpClient Http { get; }
    public NpgsqlDataSource Database { get; }

    /// <summary>Between the node and its database; the test itself reaches it directly.</summary>
    public TcpRelay Relay => _relay;
    public ArtifactStore Artifacts { get; }
    public string ObjectsDirectory => Path.Combine(_folder, "objects");
    public LiveSandboxes Live => Get<LiveSandboxes>();

    public static async Task<FileNode> StartAsync(BackingServices backing)
    {
        var node = new FileNode(backing.Postgres, await backing.Postgres.CreateDatabaseAsync());
        await using (var db = new CrowNestDb(new DbContextOptionsBuilder<CrowNestDb>().UseNpgsql(node.Database).Options))
        {
            db.Organizations.Add(new Organization { Id = "org_test", Name = "Test", Plan = "builder" });
            db.Projects.Add(new ProjectEntity { Id = "prj_test", OrgId = "org_test", Name = "Default", IsDefault = true });
            db.Templates.Add(new TemplateEntity { Id = "tpl_base", Slug = "base", Description = "base" });
            await db.SaveChangesAsync();
        }

        await new TemplateVersionStore(node.Database).AddAsync(
            new TemplateVersionRow("tplv_base_1", "tpl_base", "base", "1", "sha256:1", NetworkPolicy.None, DateTimeOffset.UtcNow),
            CancellationToken.None);
        await node.StartAsync();
        return node;
    }

    public T Get<T>()
        where T : notnull => _app!.Services.GetRequiredService<T>();

    public async Task StartAsync()
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["ConnectionStrings:crownest"] =
                new NpgsqlConnectionStringBuilder(_connectionString) { Port = _relay.Port, Timeout = 1 }.ConnectionString,
            ["Objects:Driver"] = "folder",
            ["Objects:Directory"] = ObjectsDirectory,
        });
        var services = builder.Services;
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<WorkerRetries>();
        services.Configure<DeploymentOptions>(options => options.DeploymentSecret = Secret);
        builder.AddCrowNestData();
        builder.AddCrowNestObjects();
        services.AddSingleton<LiveSandboxes>();
        services.AddFiles();
        services.AddArtifacts();
        services.AddSingleton(provider => Impatient<FileRelay>(provider, relay => relay.Stall = Stall));
        services.AddSingleton(provider => Impatient<AgentFiles>(provider, files => files.Stall = Stall));
        _app = builder.Build();
        _app.Urls.Add(_url);
        var routes = _app.MapInternal();
        routes.MapFiles(FileRoute.All.Select(route => route with { Within = Within }));
        routes.MapArtifacts();
        await _app.StartAsync();
    }

    /// <summary>A clean stop, as by SIGTERM.</summary>
    public async Task StopAsync()
    {
        await _app!.StopAsync();
        await CrashAsync();
    }

    /// <summary>The worker is gone without a word.</summary>
    public async Task CrashAsync()
    {
        await _app!.DisposeAsync();
        _app = null;
    }

    /// <summary>A ready sandbox with that agent.</summary>
    public async Task<string> AddSandboxAsync(string socketPath)
    {
        var now = DateTimeOffset.UtcNow;
        var sandboxes = new SandboxStore(Database);
        var row = new NewSandbox
        {
            Id = Ids.New(Ids.Sandbox),
            OrgId = "org_test",
            ProjectId = "prj_test",
            TemplateId = "tpl_base",
            TemplateVersionId = "tplv_base_1",
            Network = NetworkPolicy.None,
            Cpus = 1,
            MemoryMb = 512,
            TtlMs = 600_000,
            CreatedAt = now,
            Metadata = new Dictionary<string, string>(),
        };
        Assert.Null(await sandboxes.InsertAsync(row, 1000, null, CancellationToken.None));
        Assert.True(await sandboxes.MarkReadyAsync(row.Id, "wrk_test", "container", "runc", warm: true, now, CancellationToken.None));
        AddLive(row.Id, socketPath);
        return row.Id;
    }

    public void AddLive(string id, string socketPath) => Live.Add(new LiveSandbox
    {
        Id = id,
        OrgId = "org_test",
        ProjectId = "prj_test",
        ContainerId = "container",
        Agent = new AgentClient(socketPath) { AnswerTimeout = Within },
    });

    /// <summary>What a kill does to row and sandbox.</summary>
    public async Task EndSandboxAsync(string id)
    {
        var sandboxes = new SandboxStore(Database);
        await sandboxes.MarkExpiringAsync(id, DestroyedReason.UserKilled, CancellationToken.None);
        await sandboxes.MarkDestroyedAsync(id, DateTimeOffset.UtcNow, CancellationToken.None);
        Live.Remove(id);
    }

    public static string FilesOf(string sandboxId, string rest) => $"/internal/sandboxes/{sandboxId}/files{rest}";

    /// <summary>Status and code of an error answer.</summary>
    public static async Task<(int Status, string Code, string Message)> ErrorAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.False(response.IsSuccessStatusCode, text);
        var error = JsonSerializer.Deserialize<ErrorEnvelope>(text, CrowNestJson.Options)!.Error;
        return ((int)response.StatusCode, error.Code, error.Message);
    }

    public static async Task<(int Status, string Code, string Message)> ErrorAsync(Task<HttpResponseMessage> call)
    {
        using var response = await call;
        return await ErrorAsync(response);
    }

    public static async Task<T> ReadAsync<T>(Task<HttpResponseMessage> call)
    {
        using var response = await call;
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<T>(JsonSerializerOptions.Web))!;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (_app is not null)
        {
            await _app.StopAsync();
            await _app.DisposeAsync();
        }

        _relay.Dispose();
        await Database.DisposeAsync();
        await _postgres.DropDatabaseAsync(_connectionString);
        Directory.Delete(_folder, recursive: true);
    }

    private static T Impatient<T>(IServiceProvider provider, Action<T> set)
    {
        var service = ActivatorUtilities.CreateInstance<T>(provider);
        set(service);
        return service;
    }
}
