using Aspire.Hosting.Testing;

namespace CrowNest.AppHost.Tests;

/// <summary>What the diagram of Program.cs comes to, without starting anything.</summary>
public sealed class ModelTests : IDisposable
{
    private readonly string _state = Path.Combine(Path.GetTempPath(), $"cn-model-{Guid.NewGuid():N}"[..20]);

    [Fact]
    public async Task Model_Defaults_AreTheDocumentedPortsOnLoopback()
    {
        await using var model = await ComposeAsync();

        Assert.Equal(
            [("api", 8787, "127.0.0.1"), ("dashboard", 8788, "127.0.0.1"), ("worker", 8789, "127.0.0.1")],
            from service in model.Resources.OfType<ServiceResource>()
            orderby service.Name
            let endpoint = service.Annotations.OfType<EndpointAnnotation>().Single()
            select (service.Name, endpoint.Port!.Value, endpoint.TargetHost));
        Assert.Equal(8790, PortOf(model, "postgres"));
        Assert.Equal(8791, PortOf(model, "redis"));
    }

    [Fact]
    public async Task Model_PortsAndAddressGiven_AreUsed()
    {
        await using var model = await ComposeAsync("--CROWNEST_API_PORT=18787", "--CROWNEST_POSTGRES_PORT=18790", "--CROWNEST_LISTEN_ADDRESS=0.0.0.0");

        Assert.Equal(18787, PortOf(model, "api"));
        Assert.Equal(18790, PortOf(model, "postgres"));
        Assert.Equal("0.0.0.0", EndpointOf(model, "api").TargetHost);
        Assert.Equal("127.0.0.1", EndpointOf(model, "worker").TargetHost);
    }

    [Fact]
    public async Task Model_ConnectionStrings_AreSocketsOfTheStateFolderWithItsSecrets()
    {
        await using var model = await ComposeAsync();
        var database = model.Resources.OfType<PostgresDatabaseResource>().Single();
        var connectionString = await ((IResourceWithConnectionString)database).GetConnectionStringAsync();
        var redis = await ((IResourceWithConnectionString)model.Resources.OfType<RedisResource>().Single()).GetConnectionStringAsync();
        var password = await File.ReadAllTextAsync(Path.Combine(_state, "secrets", "postgres-password"));

        Assert.Equal($"Host={_state}/sockets/postgres;Username=postgres;Password={password.Trim()};Database=crownest", connectionString);
        Assert.StartsWith($"!{_state}/sockets/redis/redis.sock,password=", redis, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_state, "secrets", "postgres-password")));
    }

    [Fact]
    public async Task Model_MinioAsked_IsAContainerThatTheServicesWaitFor()
    {
        await using var model = await ComposeAsync("--CROWNEST_OBJECTS=minio");

        var objects = model.Resources.OfType<ContainerResource>().Single(container => container.Name == "objects");
        Assert.Equal("minio/minio", objects.Annotations.OfType<ContainerImageAnnotation>().Last().Image);
        var api = model.Resources.OfType<ServiceResource>().Single(service => service.Name == "api");
        Assert.Contains(api.Annotations.OfType<WaitAnnotation>(), wait => wait.Resource == objects);
    }

    public void Dispose() => Directory.Delete(_state, recursive: true);

    private static int PortOf(ComposedModel model, string resource) => EndpointOf(model, resource).Port!.Value;

    private static EndpointAnnotation EndpointOf(ComposedModel model, string resource) =>
        model.Resources.Single(candidate => candidate.Name == resource).Annotations.OfType<EndpointAnnotation>().First();

    // Empty values: what test.sh sets for the stack of its own run must not count here.
    private async Task<ComposedModel> ComposeAsync(params string[] settings)
    {
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.CrowNest_AppHost>(
        [
            .. new[] { "API", "DASHBOARD", "WORKER", "POSTGRES", "REDIS" }.Select(name => $"--CROWNEST_{name}_PORT="),
            "--CROWNEST_LISTEN_ADDRESS=", "--CROWNEST_OBJECTS=", "--DcpPublisher:RandomizePorts=false",
            $"--CROWNEST_STATE_DIRECTORY={_state}",
            .. settings,
        ]);
        return new ComposedModel(builder, await builder.BuildAsync());
    }

    /// <summary>Built, because an AppHost that is only composed would go on to start when its builder is disposed.</summary>
    private sealed class ComposedModel(IDistributedApplicationTestingBuilder builder, DistributedApplication app) : IAsyncDisposable
    {
        public IResourceCollection Resources => builder.Resources;

        public async ValueTask DisposeAsync()
        {
            await app.DisposeAsync();
            await builder.DisposeAsync();
        }
    }
}
