using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Templates;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Containers;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.Templates;
using Microsoft.AspNetCore.Builder;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Worker.Tests;

/// <summary>
/// A worker in this process with a state folder and a database of its own, on the machine's container engine. It can be stopped, dropped
/// as by a crash, and started again; whatever it has put on the machine goes with <see cref="DisposeAsync"/>.
/// </summary>
internal sealed class TestNode : IAsyncDisposable
{
    private const string Secret = "a-deployment-secret-of-the-tests-0123456789";

    private readonly BackingServices _backing;
    private readonly bool _isOther;
    private readonly Dictionary<string, string?> _settings;
    private readonly string _stateDirectory = Path.Combine(Path.GetTempPath(), $"crownest-test-node-{Guid.NewGuid():n}");
    private readonly string _connectionString;
    private WebApplication? _app;
    private HttpClient? _http;

    private TestNode(
        BackingServices backing, string connectionString, RedisFixture redis, Dictionary<string, string?> settings, string? objectsDirectory)
    {
        Redis = redis;
        FirstUid = backing.TakeUids();
        _isOther = objectsDirectory is not null;
        ObjectsDirectory = objectsDirectory ?? Path.Combine(_stateDirectory, "objects");
        _backing = backing;
        _connectionString = connectionString;
        _settings = settings;
        Database = NpgsqlDataSource.Create(connectionString);
        Sandboxes = new SandboxStore(Database);
    }

    public NpgsqlDataSource Database { get; }

    /// <summary>Of this deployment alone: a test may stop it, and no other node sees the queue of runs in it.</summary>
    public RedisFixture Redis { get; }
    public SandboxStore Sandboxes { get; }
    public TcpRelay? Relay { get; private set; }
    public TcpRelay? RedisRelay { get; private set; }
    public HttpClient Http => _http ?? throw new InvalidOperationException("The node is not running.");
    public Node Node => Get<Node>();
    public EngineClient Engine => Get<EngineClient>();
    public LiveSandboxes Live => Get<LiveSandboxes>();
    public WarmPool Pool => Get<WarmPool>();

    /// <summary>The newest image of the template <c>base</c>.</summary>
    public TemplateImage BaseImage => Get<TemplateImages>().Latest.Single(image => image.Slug == "base");

    /// <summary>Of the uids of its sandboxes.</summary>
    public int FirstUid { get; }

    public string StateDirectory => _stateDirectory;
    public string ConnectionString => _connectionString;
    public string ObjectsDirectory { get; }

    /// <summary>A node with no warm pool unless <paramref name="settings"/> (keys of the section <c>Worker</c>) say otherwise.</summary>
    public static Task<TestNode> StartAsync(BackingServices backing, params (string Key, string Value)[] settings) =>
        StartAsync(backing, relayed: false, settings);

    /// <param name="relayed">
    /// The node reaches its database through <see cref="Relay"/> and Redis through <see cref="RedisRelay"/>; the test itself directly.
    /// </param>
    public static async Task<TestNode> StartAsync(BackingServices backing, bool relayed, params (string Key, string Value)[] settings)
    {
        var redis = new RedisFixture();
        await redis.InitializeAsync();
        var node = new TestNode(backing, await backing.Postgres.CreateDatabaseAsync(), redis, Settings(settings), objectsDirectory: null);
        if (relayed)
        {
            node.Relay = new TcpRelay(new NpgsqlConnectionStringBuilder(node._connectionString).Port);
            node.RedisRelay = new TcpRelay(redis.Port);
        }

        await node.AddTenantAsync();
        await node.StartAsync();
        return node;
    }

    /// <summary>Another node of the same deployment: the same database, Redis and objects. Dispose it first.</summary>
    public async Task<TestNode> StartOtherAsync(params (string Key, string Value)[] settings)
    {
        var node = new TestNode(_backing, _connectionString, Redis, Settings(settings), ObjectsDirectory);
        await node.StartAsync();
        return node;
    }

    private static Dictionary<string, string?> Settings((string Key, string Value)[] settings)
    {
        var worker = new Dictionary<string, string?>
        {
            ["AgentDirectory"] = AgentDirectory(),
            ["Capacity"] = "50",
            ["ReapInterval"] = "00:00:02",
            ["Runs:ClaimInterval"] = "00:00:00.5",
            ["Runs:PollInterval"] = "00:00:00.5",
        };
        foreach (var slug in TemplateSlugs.All)
        {
            worker[$"WarmPoolSize:{slug}"] = "0";
        }

        foreach (var (key, value) in settings)
        {
            worker[key] = value;
        }

        return worker.ToDictionary(s => $"Worker:{s.Key}", s => s.Value);
    }

    public T Get<T>()
        where T : notnull =>
        (_app ?? throw new InvalidOperationException("The node is not running.")).Services.GetRequiredService<T>();

    public async Task StartAsync()
    {
        var url = $"http://127.0.0.1:{FreePort.Next()}";
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(_settings);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["CrowNest:DeploymentSecret"] = Secret,
            ["CrowNest:StateDirectory"] = _stateDirectory,
            ["ConnectionStrings:crownest"] = Relay is null
                ? _connectionString
                : new NpgsqlConnectionStringBuilder(_connectionString) { Port = Relay.Port }.ConnectionString,
            ["ConnectionStrings:redis"] = RedisRelay is null ? Redis.ConnectionString : $"127.0.0.1:{RedisRelay.Port}",
            ["Worker:ListenUrl"] = url,
            ["Worker:UidBase"] = $"{FirstUid}",
            ["Worker:UidCount"] = $"{BackingServices.UidsPerNode}",
            ["Objects:Driver"] = "folder",
            ["Objects:Directory"] = ObjectsDirectory,
            ["Logging:LogLevel:Default"] = "Warning",
        });
        _app = builder.AddWorker().Build().MapWorker();
        await _app.StartAsync();
        _http = new HttpClient { BaseAddress = new Uri(url) };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Secret);
    }

    /// <summary>A clean stop, as by SIGTERM.</summary>
    public async Task StopAsync()
    {
        await _app!.StopAsync();
        await CrashAsync();
    }

    /// <summary>The worker is gone without a word: nothing of its stop runs.</summary>
    public async Task CrashAsync()
    {
        _http!.Dispose();
        _http = null;
        await _app!.DisposeAsync();
        _app = null;
    }

    /// <summary>Changes a setting for the next start.</summary>
    public void Set(string key, string value) => _settings[$"Worker:{key}"] = value;

    /// <summary>A row as the API writes it before it asks the worker.</summary>
    public async Task<StartSandbox> AddRowAsync(long ttlMs = 600_000, string network = NetworkPolicy.None, string? versionId = null)
    {
        var image = BaseImage;
        var options = Get<IOptions<WorkerOptions>>().Value;
        var row = new NewSandbox
        {
            Id = Ids.New(Ids.Sandbox),
            OrgId = "org_test",
            ProjectId = "prj_test",
            TemplateId = "tpl_base",
            TemplateVersionId = versionId ?? image.VersionId,
            Network = network,
            Cpus = options.DefaultCpus,
            MemoryMb = options.DefaultMemoryMb,
            TtlMs = ttlMs,
            CreatedAt = DateTimeOffset.UtcNow,
            Metadata = new Dictionary<string, string>(),
        };
        Assert(await Sandboxes.InsertAsync(row, 1000, null, CancellationToken.None) is null);
        return new StartSandbox
        {
            SandboxId = row.Id,
            OrgId = row.OrgId,
            ProjectId = row.ProjectId,
            TemplateId = row.TemplateId,
            TemplateVersionId = row.TemplateVersionId,
            Network = row.Network,
            Cpus = row.Cpus,
            MemoryMb = row.MemoryMb,
        };
    }

    public Task<HttpResponseMessage> PostAsync(StartSandbox request) => Http.PostAsJsonAsync("/internal/sandboxes", request);

    /// <summary>Row and sandbox.</summary>
    public async Task<(string Id, SandboxStarted Started)> CreateAsync(long ttlMs = 600_000, string network = NetworkPolicy.None)
    {
        var request = await AddRowAsync(ttlMs, network);
        using var response = await PostAsync(request);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw new InvalidOperationException(await response.Content.ReadAsStringAsync());
        }

        return (request.SandboxId, (await response.Content.ReadFromJsonAsync<SandboxStarted>(JsonSerializerOptions.Web))!);
    }

    public async Task<SandboxRow> RowAsync(string id) => (await Sandboxes.FindAsync(id, CancellationToken.None))!;

    public Task<SandboxRow> RowBecomesAsync(string id, string state, TimeSpan? within = null) =>
        Eventually.GivesAsync(() => RowAsync(id), row => row.State == state, $"sandbox {id} becomes {state}", within);

    /// <summary>Waits until so many sandboxes are warm.</summary>
    public Task PoolHoldsAsync(int count) =>
        Eventually.HoldsAsync(() => Pool.CountByVersion().Values.Sum() == count, $"{count} warm", TimeSpan.FromSeconds(30));

    /// <summary>What a kill does: the API marks the row and asks the worker to look.</summary>
    public async Task<HttpResponseMessage> KillAsync(string id)
    {
        await Sandboxes.MarkExpiringAsync(id, DestroyedReason.UserKilled, CancellationToken.None);
        return await Http.PostAsync($"/internal/sandboxes/{id}/reconcile", null);
    }

    /// <summary>Runs a shell line in the sandbox, as its user.</summary>
    public async Task<(int? ExitCode, string Output)> ExecAsync(string id, string command, int timeoutMs = 30_000)
    {
        Assert(Live.TryGet(id, out var sandbox), $"sandbox {id} is live");
        var request = new AgentStartCommand
        {
            Id = Ids.New(Ids.Command),
            Command = command,
            Cwd = "/workspace",
            Environment = new Dictionary<string, string>(),
            TimeoutMs = timeoutMs,
        };
        await sandbox!.Agent.StartCommandAsync(request, CancellationToken.None);
        await using var output = await sandbox.Agent.OpenOutputAsync(request.Id, 0, CancellationToken.None);
        var text = new StringBuilder();
        while (true)
        {
            var frame = await output.ReadFrameAsync(CancellationToken.None);
            if (frame.State is { } state)
            {
                return (state.ExitCode, text.ToString());
            }

            text.Append(Encoding.UTF8.GetString(frame.Payload.Span));
            await output.AcknowledgeAsync(frame.EndOffset, CancellationToken.None);
        }
    }

    /// <summary>What is left of an ended container goes in the background.</summary>
    public static Task ContainerGoesAsync(string id) =>
        Eventually.HoldsAsync(async () => !await ContainerExistsAsync(id), "the container is removed");

    public static async Task<bool> ContainerExistsAsync(string id)
    {
        using var engine = new EngineClient(Options.Create(new WorkerOptions()));
        return await engine.FindContainerAsync(id, CancellationToken.None) is not null;
    }

    public async ValueTask DisposeAsync()
    {
        if (!Directory.Exists(_stateDirectory))
        {
            return;
        }

        // Stopped, not dropped: a container that is being made would appear after the cleanup.
        if (_app is not null)
        {
            await StopAsync();
        }

        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["CrowNest:StateDirectory"] = _stateDirectory,
        }).Build();
        using var output = new StringWriter();
        var exitCode = await NodeCleanup.RunAsync(configuration, output, CancellationToken.None);
        Relay?.Dispose();
        RedisRelay?.Dispose();
        await Database.DisposeAsync();
        if (!_isOther)
        {
            await Redis.DisposeAsync();
            await _backing.Postgres.DropDatabaseAsync(_connectionString);
        }

        _backing.ReturnUids(FirstUid);
        Assert(exitCode == 0, output.ToString());
        Directory.Delete(_stateDirectory, recursive: true);
    }

    private async Task AddTenantAsync()
    {
        await using var db = new CrowNestDb(new DbContextOptionsBuilder<CrowNestDb>().UseNpgsql(Database).Options);
        db.Organizations.Add(new Organization { Id = "org_test", Name = "Test", Plan = "builder" });
        db.Projects.Add(new ProjectEntity { Id = "prj_test", OrgId = "org_test", Name = "Default", IsDefault = true });
        foreach (var slug in TemplateSlugs.All)
        {
            db.Templates.Add(new TemplateEntity { Id = TemplateSlugs.TemplateId(slug), Slug = slug, Description = slug });
        }

        await db.SaveChangesAsync();
    }

    private static string AgentDirectory()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "CrowNest.sln")))
            {
                var agent = Path.Combine(folder.FullName, "artifacts", "agent");
                return File.Exists(Path.Combine(agent, "crownest-agent"))
                    ? agent
                    : throw new InvalidOperationException("The agent is not built: run eng/build-agent.sh.");
            }
        }

        throw new InvalidOperationException("CrowNest.sln is in no folder above the tests.");
    }

    private static void Assert(bool holds, string? what = null) => Xunit.Assert.True(holds, what);
}
