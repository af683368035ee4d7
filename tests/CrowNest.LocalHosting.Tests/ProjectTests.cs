using Aspire.Hosting.Testing;
using CrowNest.Testing;

namespace CrowNest.LocalHosting.Tests;

public sealed class ProjectTests
{
    [Fact]
    public async Task Project_WithReferences_GetsAddressesAndConnectionStrings()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
        {
            var redis = model.AddRedis("redis");
            var secret = model.AddParameter("deployment-secret", new GenerateParameterDefault { MinLength = 48 }, secret: true, persist: true);
            var api = AddSample(model, "api");
            AddSample(model, "dashboard").WithReference(api).WithReference(redis).WaitFor(redis)
                .WithEnvironment("Secret", secret)
                .WithEnvironment("Sum", ReferenceExpression.Create($"{api.GetEndpoint("http")}/v1"));
        });
        await application.HealthyAsync("dashboard");
        using var dashboard = application.CreateHttpClient("dashboard");
        var api = application.GetEndpoint("api").ToString().TrimEnd('/');

        Assert.Equal(api, await dashboard.GetStringAsync("/environment/services__api__http__0"));
        Assert.Equal(api, await dashboard.GetStringAsync("/environment/API_HTTP"));
        Assert.Equal(api + "/v1", await dashboard.GetStringAsync("/environment/Sum"));
        Assert.Equal(
            await application.GetConnectionStringAsync("redis"), await dashboard.GetStringAsync("/environment/ConnectionStrings__redis"));
        Assert.Equal(await application.GetParameterAsync("deployment-secret"), await dashboard.GetStringAsync("/environment/Secret"));
        Assert.Equal(application.GetEndpoint("dashboard").ToString().TrimEnd('/'), await dashboard.GetStringAsync("/environment/ASPNETCORE_URLS"));
    }

    [Fact]
    public async Task Project_Dies_IsReportedAtOnceAndStartedAgain()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model => AddSample(model, "api"));
        await application.HealthyAsync("api");
        using var http = application.CreateHttpClient("api");

        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync("/exit/3"));

        await nest.SaysAsync("apphost", "api DIED: exit code 3");
        await application.BecomesAsync("api", current => current is { IsHealthy: true, Starts: 2 });
        Assert.Equal("ok", await http.GetStringAsync("/healthz"));
    }

    [Fact]
    public async Task Project_DiesAgainAndAgain_IsStartedWithGrowingDelays()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
            model.AddExecutable("api", "sh", "/", "-c", "exit 9").WithHttpEndpoint());

        await application.BecomesAsync("api", current => current.Starts >= 4);

        var delays = nest.Output.Lines.Count(line => line.Contains("api DIED: exit code 9", StringComparison.Ordinal));
        Assert.InRange(delays, 3, 4);
    }

    [Fact]
    public async Task Project_DiesWithAChild_TakesItAlong()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model => AddSample(model, "api").WithArgs("--with-child"));
        await application.HealthyAsync("api");
        await nest.SaysAsync("api", "child ");
        var child = int.Parse(nest.Output.Lines.Select(line => line.Split("child ")).First(parts => parts.Length == 2)[1]);
        Assert.True(Directory.Exists($"/proc/{child}"));

        application.KillResource("api");

        await application.BecomesAsync("api", current => current.Starts == 2);
        await Eventually.HoldsAsync(() => !Directory.Exists($"/proc/{child}"), "the child is gone");
    }

    [Fact]
    public async Task Stop_ProjectIgnoresSigterm_IsKilledAfterTheGrace()
    {
        await using var nest = new Nest();
        var model = nest.CreateModel().ConfigureLocalHosting(options => options.StopGrace = TimeSpan.FromMilliseconds(300));
        AddSample(model, "api").WithArgs("--stubborn");
        var application = await nest.StartAsync(model);
        await application.HealthyAsync("api");
        var process = application.ProcessOf("api");

        await application.StopAsync();

        Assert.False(Directory.Exists($"/proc/{process}"));
        await nest.SaysAsync("apphost", "api: did not stop within");
    }

    [Fact]
    public async Task Replicas_WithoutFixedPort_RunEachOnItsOwn()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
        {
            var api = AddSample(model, "api").WithReplicas(2);
            AddSample(model, "dashboard").WithReference(api).WaitFor(api);
        });
        await application.HealthyAsync("dashboard");
        using var dashboard = application.CreateHttpClient("dashboard");
        var first = await dashboard.GetStringAsync("/environment/services__api__http__0");
        var second = await dashboard.GetStringAsync("/environment/services__api__http__1");

        Assert.NotEqual(first, second);
        using var http = new HttpClient();
        Assert.Equal("ok", await http.GetStringAsync(first + "/healthz"));
        Assert.Equal("ok", await http.GetStringAsync(second + "/healthz"));
    }

    private static IResourceBuilder<ProjectResource> AddSample(IDistributedApplicationBuilder model, string name) =>
        model.AddProject<Projects.CrowNest_LocalHosting_Sample>(name).WithHttpEndpoint().WithHttpHealthCheck("/healthz");
}
