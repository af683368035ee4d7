using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace CrowNest.ServiceDefaults.Tests;

public sealed class ServiceDiscoveryTests
{
    [Theory]
    [InlineData("https+http://api/v1/x?y=1", "http://127.0.0.1:8787/v1/x?y=1")]
    [InlineData("http://api/v1", "http://127.0.0.1:8787/v1")]
    [InlineData("https+http://shop/", "https://shop.example/")]
    [InlineData("http://example.org/v1", "http://example.org/v1")]
    public void ResolveService_Address_IsTheConfiguredOne(string address, string expected)
    {
        Assert.Equal(new Uri(expected), Configuration().ResolveService(new Uri(address)));
    }

    [Fact]
    public void ResolveService_UnknownService_SaysWhatToSet()
    {
        var exception = Assert.Throws<InvalidOperationException>(() => Configuration().ResolveService(new Uri("https+http://nobody/")));

        Assert.Contains("services__nobody__http__0", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Client_WithServiceDiscovery_ReachesTheService()
    {
        await using var api = await StartApiAsync(healthy: true);
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(Configuration(api.Urls.Single()));
        services.AddHttpClient("api", client => client.BaseAddress = new Uri("https+http://api")).AddServiceDiscovery();
        await using var provider = services.BuildServiceProvider();

        var answer = await provider.GetRequiredService<IHttpClientFactory>().CreateClient("api").GetStringAsync("/healthz");

        Assert.Equal("""{"status":"ok"}""", answer);
    }

    [Fact]
    public async Task Health_FailingCheck_Answers503WithItsName()
    {
        await using var api = await StartApiAsync(healthy: false);
        using var http = new HttpClient();

        using var answer = await http.GetAsync(api.Urls.Single() + "/healthz");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("""{"status":"unavailable","failing":["nest"]}""", await answer.Content.ReadAsStringAsync());
    }

    private static async Task<WebApplication> StartApiAsync(bool healthy)
    {
        var builder = WebApplication.CreateBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.AddServiceDefaults("CrowNest.Tests.Service");
        builder.Logging.ClearProviders();
        builder.Services.AddHealthChecks().AddCheck("nest", () => healthy ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy());
        var app = builder.Build();
        app.MapDefaultEndpoints();
        await app.StartAsync();
        return app;
    }

    private static IConfiguration Configuration(string api = "http://127.0.0.1:8787") => new ConfigurationBuilder()
        .AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["services:api:http:0"] = api,
            ["services:shop:http:0"] = "http://shop.example",
            ["services:shop:https:0"] = "https://shop.example",
        })
        .Build();
}
