using System.Net;
using CrowNest.ServiceDefaults.Health;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace CrowNest.ServiceDefaults.Tests.Health;

public sealed class HealthTests
{
    private const string Ok = """{"status":"ok"}""";

    [Theory]
    [InlineData("/healthz")]
    [InlineData("/health")]
    [InlineData("/alive")]
    public async Task Health_AllPass_AnswersOk(string path)
    {
        await using var service = await StartAsync(nest: true, egg: true);

        Assert.Equal((HttpStatusCode.OK, Ok), await AskAsync(service, path));
    }

    [Theory]
    [InlineData("/healthz", """{"status":"unavailable","failing":["nest"]}""")]
    [InlineData("/health", """{"status":"unavailable","failing":["nest","egg"]}""")]
    public async Task Health_FailingChecks_Answers503WithTheirNames(string path, string answer)
    {
        await using var service = await StartAsync(nest: false, egg: false);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, answer), await AskAsync(service, path));
    }

    [Fact]
    public async Task Health_SomethingThatIsNotNeededToServeFails_ServesOn()
    {
        await using var service = await StartAsync(nest: true, egg: false);

        Assert.Equal((HttpStatusCode.OK, Ok), await AskAsync(service, "/healthz"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await AskAsync(service, "/health")).Status);
    }

    [Fact]
    public async Task Alive_EverythingElseFails_AnswersOk()
    {
        await using var service = await StartAsync(nest: false, egg: false);

        Assert.Equal((HttpStatusCode.OK, Ok), await AskAsync(service, "/alive"));
    }

    private static async Task<(HttpStatusCode Status, string Body)> AskAsync(TestService service, string path)
    {
        using var http = new HttpClient();
        using var answer = await http.GetAsync(service.Url + path);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static Task<TestService> StartAsync(bool nest, bool egg) => TestService.StartAsync(builder => builder.Services.AddHealthChecks()
        .AddCheck("nest", () => nest ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(), [HealthTags.Serving])
        .AddCheck("egg", () => egg ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy()));
}
