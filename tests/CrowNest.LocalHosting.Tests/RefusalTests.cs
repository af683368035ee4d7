using System.Net;
using System.Net.Sockets;
using Aspire.Hosting.Testing;

namespace CrowNest.LocalHosting.Tests;

public sealed class RefusalTests
{
    [Fact]
    public async Task Start_SecondOnTheSameFolder_NamesTheFirst()
    {
        await using var nest = new Nest();
        await nest.StartAsync(model => model.AddExecutable("a", "sleep", "/", "1000"));

        var message = await RefusedAsync(nest, model => model.AddExecutable("a", "sleep", "/", "1000"));

        Assert.Contains($"Another AppHost (pid {Environment.ProcessId}) already runs on {nest.Folder}", message, StringComparison.Ordinal);
        Assert.Contains("CROWNEST_STATE_DIRECTORY", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PortInUse_NamesOwnerAndVariable()
    {
        await using var nest = new Nest();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;

        var message = await RefusedAsync(nest, model => model.AddRedis("redis", port));

        Assert.Contains($"Port {port} of `redis` is in use by", message, StringComparison.Ordinal);
        Assert.Contains($"(pid {Environment.ProcessId})", message, StringComparison.Ordinal);
        Assert.Contains("CROWNEST_REDIS_PORT", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_AfterRefusal_FolderIsFree()
    {
        await using var nest = new Nest();
        await RefusedAsync(nest, model =>
        {
            model.AddExecutable("a", "sleep", "/", "1000");
            model.AddParameter("nobody-gave-it");
        });

        var application = await nest.StartAsync(model => model.AddExecutable("a", "sleep", "/", "1000"));

        await application.HealthyAsync("a");
    }

    [Fact]
    public async Task Start_Container_IsRefusedByName()
    {
        await using var nest = new Nest();

        var message = await RefusedAsync(nest, model => model.AddContainer("objects", "minio/minio"));

        Assert.Contains("`objects` is the container minio/minio:latest", message, StringComparison.Ordinal);
        Assert.Contains("UseAspire=true", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ReplicasOnOnePort_AreRefused()
    {
        await using var nest = new Nest();

        var message = await RefusedAsync(nest, model =>
            model.AddProject<Projects.CrowNest_LocalHosting_Sample>("api").WithHttpEndpoint(port: 1).WithReplicas(2));

        Assert.Contains("`api` has 2 replicas and a fixed port", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ResourcesWaitForEachOther_IsRefused()
    {
        await using var nest = new Nest();

        var message = await RefusedAsync(nest, model =>
        {
            var first = model.AddExecutable("first", "sleep", "/", "1000");
            var second = model.AddExecutable("second", "sleep", "/", "1000").WaitFor(first);
            first.WaitFor(second);
        });

        Assert.Contains("first → second → first", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_TwoResourcesOnOnePort_IsRefused()
    {
        await using var nest = new Nest();

        var message = await RefusedAsync(nest, model =>
        {
            model.AddRedis("redis", port: 1);
            model.AddPostgres("postgres", port: 1);
        });

        Assert.Contains("Port 1 is given to `redis` and `postgres`", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Parameter_GivenByConfiguration_WinsOverItsDefault()
    {
        await using var nest = new Nest();
        var model = nest.CreateModel("--Parameters:deployment_secret=given");
        model.AddParameter("deployment-secret", new GenerateParameterDefault(), secret: true, persist: true);
        var application = await nest.StartAsync(model);

        Assert.Equal("given", await application.GetParameterAsync("deployment-secret"));
        Assert.False(Directory.Exists(Path.Combine(nest.Folder, "secrets")));
    }

    [Fact]
    public async Task Resource_ProgramMissing_IsNamedAndTriedAgain()
    {
        await using var nest = new Nest();
        await nest.StartAsync(model => model.AddExecutable("a", "no-such-program", "/"));

        await nest.SaysAsync("apphost", "a: cannot be started: There is no program `no-such-program`. Trying again");
    }

    [Theory]
    [InlineData("")]
    [InlineData("-a")]
    [InlineData("a b")]
    [InlineData("../a")]
    public void AddResource_BadName_IsRefused(string name) =>
        Assert.ThrowsAny<ArgumentException>(() => DistributedApplication.CreateBuilder().AddExecutable(name, "sleep", "/"));

    private static async Task<string> RefusedAsync(Nest nest, Action<IDistributedApplicationBuilder> compose) =>
        (await Assert.ThrowsAsync<DistributedApplicationException>(() => nest.StartAsync(compose))).Message;
}
