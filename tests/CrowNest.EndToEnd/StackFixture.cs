using System.Security.Cryptography;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
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

    private static readonly string[] Ports = ["API", "DASHBOARD", "WORKER", "POSTGRES", "REDIS", "ASPIRE", "OTLP"];

    private readonly string _state = Path.Combine(Path.GetTempPath(), $"crownest-e2e-{Guid.NewGuid():n}"[..24]);
    private readonly string _key = $"cn_live_{RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 40)}";

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

    public virtual async ValueTask InitializeAsync()
    {
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.CrowNest_AppHost>(
        [
            $"--CROWNEST_STATE_DIRECTORY={_state}",
            $"--CROWNEST_BOOTSTRAP_API_KEY={_key}",
            $"--OTEL_EXPORTER_OTLP_ENDPOINT={Traces.Endpoint}",
            "--OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "--DcpPublisher:RandomizePorts=false",
            "--Worker:UidBase=700500",
            "--Worker:UidCount=500",
            .. Settings,
            .. Ports.Select(name => $"--CROWNEST_{name}_PORT={FreePort.Next()}"),
        ]);
        // Nothing of it must last.
        var postgres = builder.Resources.OfType<PostgresServerResource>().Single();
        builder.CreateResourceBuilder(postgres).WithArgs("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off");
        App = await builder.BuildAsync();
        try
        {
            await App.StartAsync();
            await HealthyAsync("api");
            await HealthyAsync("worker");
            await HealthyAsync("dashboard");
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"The stack did not start:\n{ReadLogs()}", exception);
        }

        var api = App.GetEndpoint("api");
        Http = new HttpClient { BaseAddress = api, Timeout = TimeSpan.FromMinutes(5) };
        Http.DefaultRequestHeaders.Authorization = new("Bearer", _key);
        Client = new CrowNestClient(new CrowNestClientOptions { BaseUrl = api.ToString(), Credential = _key });
    }

    public virtual async ValueTask DisposeAsync()
    {
        await AnswersAgainAsync();
        foreach (var sandbox in (await Client.Sandboxes.ListAsync(new ListSandboxesOptions { Limit = 500 })).Data)
        {
            await Client.Sandboxes.KillAsync(sandbox.Id);
        }

        await App.StopAsync();
        await App.DisposeAsync();
        Traces.Dispose();
        await Docker.RemoveDeploymentAsync(_state);
        Directory.Delete(_state, recursive: true);
        GC.SuppressFinalize(this);
    }

    public async Task HealthyAsync(string resource)
    {
        using var limit = new CancellationTokenSource(Patience);
        // A part that has just died is about to be started again.
        await App.ResourceNotifications.WaitForResourceHealthyAsync(resource, WaitBehavior.WaitOnResourceUnavailable, limit.Token);
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

    private string ReadLogs() => string.Join(
        '\n', Directory.EnumerateFiles(Path.Combine(_state, "logs"), "*.log").Select(file => $"{file}:\n{File.ReadAllText(file)}"));

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
