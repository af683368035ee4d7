using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using CrowNest.AppHost;
using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Testing;
using Npgsql;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>
/// The whole stack as the AppHost composes it: real processes of API, worker and dashboard over real Postgres, Redis and Docker, on
/// ports and in a folder of its own, so that it runs beside a stack that a developer has up.
/// </summary>
public class StackFixture : IAsyncLifetime
{
    public const string Collection = "stack";

    /// <summary>Long enough for a restart of any part on a busy machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _state = Path.Combine(Path.GetTempPath(), $"crownest-e2e-{Guid.NewGuid():n}"[..24]);
    private readonly string _key = $"cn_live_{RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 40)}";
    private readonly StringBuilder _output = new();

    public DistributedApplication App { get; private set; } = null!;

    public CrowNestClient Client { get; private set; } = null!;

    /// <summary>Plain HTTP with the bearer set, as other clients would call.</summary>
    public HttpClient Http { get; private set; } = null!;

    /// <summary>Where every process of the stack sends its traces.</summary>
    internal TraceCollector Traces { get; } = TraceCollector.Start();

    /// <summary>The folder with the solution.</summary>
    public static string Checkout { get; } = FindCheckout();

    public string ApiKey => _key;

    public string StateDirectory => _state;

    /// <summary>Where the embedded object store keeps its files.</summary>
    public string ObjectsDirectory => Path.Combine(_state, "objects");

    /// <summary>What the AppHost is told besides, as words of its command line.</summary>
    protected virtual IEnumerable<string> Settings => [];

    public virtual async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT", Traces.Endpoint);
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions
        {
            AssemblyName = typeof(CrowNestModel).Assembly.GetName().Name,
            Args =
            [
                $"--CROWNEST_STATE_DIRECTORY={_state}",
                $"--CROWNEST_BOOTSTRAP_API_KEY={_key}",
                "--Worker:UidBase=700500",
                "--Worker:UidCount=500",
                .. Settings,
                .. new[] { "API", "DASHBOARD", "WORKER", "POSTGRES", "REDIS" }.Select(name => $"--CROWNEST_{name}_PORT={FreePort.Next()}"),
            ],
        });
        builder.ConfigureLocalHosting(options =>
        {
            options.DurablePostgres = false;
            options.Output = TextWriter.Synchronized(new StringWriter(_output, CultureInfo.InvariantCulture));
        });
        CrowNestModel.Compose(builder);
        App = builder.Build();
        try
        {
            await App.StartAsync();
            await HealthyAsync("api");
            await HealthyAsync("worker");
            await HealthyAsync("dashboard");
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"The stack did not start:\n{_output}", exception);
        }

        var api = App.GetEndpoint("api");
        Http = new HttpClient { BaseAddress = api, Timeout = TimeSpan.FromMinutes(5) };
        Http.DefaultRequestHeaders.Authorization = new("Bearer", _key);
        Client = new CrowNestClient(new CrowNestClientOptions { BaseUrl = api.ToString(), Credential = _key });
    }

    public virtual async Task DisposeAsync()
    {
        await AnswersAgainAsync();
        foreach (var sandbox in (await Client.Sandboxes.ListAsync(new ListSandboxesOptions { Limit = 500 })).Data)
        {
            await Client.Sandboxes.KillAsync(sandbox.Id);
        }

        await App.StopAsync();
        await App.DisposeAsync();
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT", null);
        Traces.Dispose();
        await Docker.RemoveDeploymentAsync(_state);
        Directory.Delete(_state, recursive: true);
    }

    public async Task HealthyAsync(string resource)
    {
        using var limit = new CancellationTokenSource(Patience);
        await App.ResourceNotifications.WaitForResourceHealthyAsync(resource, limit.Token);
    }

    /// <summary>A sandbox of the smallest template.</summary>
    public Task<Sandbox> CreateAsync(CreateSandboxRequest? request = null) =>
        Client.Sandboxes.CreateAsync(request ?? new CreateSandboxRequest { Template = "base" });

    public Task<Command> RunAsync(string sandboxId, string command, long? timeoutMs = null) =>
        Client.Commands.RunAsync(sandboxId, new RunCommandRequest { Command = command, TimeoutMs = timeoutMs });

    public Task<Command> StartCommandAsync(string sandboxId, string command) =>
        Client.Commands.StartAsync(sandboxId, new RunCommandRequest { Command = command });

    /// <summary>The container that is the sandbox, as its row says.</summary>
    public async Task<string> ContainerOfAsync(string sandboxId)
    {
        await using var database = NpgsqlDataSource.Create((await App.GetConnectionStringAsync("crownest"))!);
        await using var sql = database.CreateCommand("SELECT container_id FROM sandboxes WHERE id = $1");
        sql.Parameters.Add(new NpgsqlParameter { Value = sandboxId });
        return (string)(await sql.ExecuteScalarAsync())!;
    }

    private static string FindCheckout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "CrowNest.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests run outside a checkout.");
        }

        return folder;
    }

    /// <summary>Waits until the API answers again after a fault.</summary>
    public Task AnswersAgainAsync() => Eventually.HoldsAsync(
        async () =>
        {
            try
            {
                await Client.Sandboxes.ListAsync();
                return true;
            }
            catch (CrowNestApiException)
            {
                return false;
            }
        },
        "the API answers again",
        Patience);
}

/// <summary>One after the other: a stack takes the whole machine.</summary>
[CollectionDefinition(StackFixture.Collection, DisableParallelization = true)]
public sealed class StackCollection : ICollectionFixture<StackFixture>;
