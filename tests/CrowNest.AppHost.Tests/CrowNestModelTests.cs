using Aspire.Hosting.Testing;

namespace CrowNest.AppHost.Tests;

public sealed class CrowNestModelTests
{
    private static readonly string State = Path.Combine(Path.GetTempPath(), "crownest-model-" + Guid.NewGuid().ToString("N"));

    [Fact]
    public async Task Compose_Defaults_AreTheDocumentedPortsOnLoopback()
    {
        await using var application = Compose().Build();

        Assert.Equal("http://127.0.0.1:8787/", application.GetEndpoint("api").ToString());
        Assert.Equal("http://127.0.0.1:8788/", application.GetEndpoint("dashboard").ToString());
        Assert.Equal("http://127.0.0.1:8789/", application.GetEndpoint("worker").ToString());
        Assert.Equal(8790, application.GetEndpoint("postgres").Port);
        Assert.Equal(8791, application.GetEndpoint("redis").Port);
    }

    [Fact]
    public async Task Compose_PortsGiven_AreUsed()
    {
        await using var application = Compose("--CROWNEST_API_PORT=18787", "--CROWNEST_POSTGRES_PORT=18790").Build();

        Assert.Equal(18787, application.GetEndpoint("api").Port);
        Assert.Contains("Port=18790;", await application.GetConnectionStringAsync("crownest"), StringComparison.Ordinal);
        Assert.Contains(";Database=crownest", await application.GetConnectionStringAsync("crownest"), StringComparison.Ordinal);
        Directory.Delete(State, recursive: true);
    }

    [Fact]
    public void Compose_StateFolder_IsBesideTheProjectsUnlessGiven()
    {
        var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { AssemblyName = "CrowNest.AppHost" });
        var checkout = Checkout.Of(builder);

        Assert.True(File.Exists(Path.Combine(checkout.Root, "CrowNest.sln")));
        Assert.Equal(State, Checkout.Of(Compose()).State);
    }

    private static IDistributedApplicationBuilder Compose(params string[] settings)
    {
        // Empty values: what test.sh sets for the stack of its own run must not count here.
        string[] defaults = [.. new[] { "API", "DASHBOARD", "WORKER", "POSTGRES", "REDIS" }.Select(name => $"--CROWNEST_{name}_PORT=")];
        var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions
        {
            Args = [.. defaults, $"--CROWNEST_STATE_DIRECTORY={State}", .. settings],
            AssemblyName = "CrowNest.AppHost",
        });
        CrowNestModel.Compose(builder);
        return builder;
    }
}
