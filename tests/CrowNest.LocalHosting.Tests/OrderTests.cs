using Aspire.Hosting.Testing;

namespace CrowNest.LocalHosting.Tests;

public sealed class OrderTests
{
    [Fact]
    public async Task Start_WithWaits_FollowsThemAndStopsInReverse()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
        {
            var redis = model.AddRedis("redis");
            var api = AddSample(model, "api").WaitFor(redis);
            AddSample(model, "dashboard").WaitFor(api);
        });
        await application.HealthyAsync("dashboard");
        int[] processes = [.. new[] { "redis", "api", "dashboard" }.Select(application.ProcessOf)];
        await application.StopAsync();

        string[] expected =
        [
            "redis: healthy", "api: started", "api: healthy", "dashboard: started", "dashboard: healthy", "All resources are running",
            "dashboard: stopped", "api: stopped", "redis: stopped", "Everything is stopped",
        ];
        var positions = expected.Select(nest.Output.IndexOf).ToList();
        Assert.DoesNotContain(-1, positions);
        Assert.Equal(positions.Order(), positions);
        Assert.All(processes, process => Assert.False(Directory.Exists($"/proc/{process}")));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(nest.Folder, "pids")));
        Assert.False(File.Exists(Path.Combine(nest.Folder, "apphost.pid")));
    }

    [Fact]
    public async Task WaitForCompletion_WorkSucceeds_StartsAfterIt()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
        {
            var work = model.AddProject<Projects.CrowNest_LocalHosting_Sample>("work").WithArgs("once", "0");
            AddSample(model, "api").WaitForCompletion(work);
        });
        await application.HealthyAsync("api");

        Assert.Equal(KnownResourceStates.Finished, application.ResourceNotifications.Get("work").State);
        Assert.True(nest.Output.IndexOf("work: finished") < nest.Output.IndexOf("api: started"));
    }

    [Fact]
    public async Task WaitForCompletion_WorkFails_IsReportedAndDependentDoesNotStart()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
        {
            var work = model.AddProject<Projects.CrowNest_LocalHosting_Sample>("work").WithArgs("once", "5");
            AddSample(model, "api").WaitForCompletion(work);
        });

        await application.BecomesAsync("api", current => current.State == KnownResourceStates.FailedToStart);

        await nest.SaysAsync("apphost", "work FAILED: exit code 5");
        Assert.Equal(-1, nest.Output.IndexOf("api: started"));
    }

    [Fact]
    public async Task ExplicitStart_Resource_WaitsForIt()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
        {
            model.AddRedis("redis");
            AddSample(model, "extra").WithExplicitStart();
        });
        await application.HealthyAsync("redis");
        await nest.SaysAsync("apphost", "All resources are running");
        Assert.Equal(KnownResourceStates.NotStarted, application.ResourceNotifications.Get("extra").State);

        await application.StartResourceAsync("extra");

        await application.HealthyAsync("extra");
    }

    [Fact]
    public async Task Output_LinesOfResources_ArePrefixedAlignedAndKeptInFiles()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model =>
        {
            model.AddExecutable("a", "sh", "/", "-c", "echo one; echo two >&2");
            model.AddExecutable("much-longer", "sh", "/", "-c", "echo three");
        });
        await application.BecomesAsync("a", current => current.State == KnownResourceStates.Finished);
        await application.BecomesAsync("much-longer", current => current.State == KnownResourceStates.Finished);

        Assert.Contains("a           | one", nest.Output.Lines);
        Assert.Contains("a           | two", nest.Output.Lines);
        Assert.Contains("much-longer | three", nest.Output.Lines);
        await application.DisposeAsync();
        Assert.Equal("three\n", await File.ReadAllTextAsync(Path.Combine(nest.Folder, "logs", "much-longer.log")));
    }

    private static IResourceBuilder<ProjectResource> AddSample(IDistributedApplicationBuilder model, string name) =>
        model.AddProject<Projects.CrowNest_LocalHosting_Sample>(name).WithHttpEndpoint().WithHttpHealthCheck("/healthz");
}
