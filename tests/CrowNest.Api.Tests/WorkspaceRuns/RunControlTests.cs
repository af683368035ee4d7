using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>Start, cancel, and what the API ends by itself (docs/reference/api.md 10.6, 10.7; docs/protocols.md 9).</summary>
public sealed class RunControlTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Start_Uploaded_IsStartedOnceAndQueued()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        await tenant.PostAsync(id, "start").ErrorAsync(409, "upload_incomplete");
        using var uploaded = await tenant.UploadAsync(id, RunCalls.Archive());
        var run = (await tenant.PostAsync(id, "start").JsonAsync()).GetProperty("workspaceRun");
        Assert.Equal(("starting", "pending"), (run.Text("status"), run.Text("cleanupStatus")));
        Assert.True(run.Has("startedAt"));
        var again = (await tenant.PostAsync(id, "start").JsonAsync()).GetProperty("workspaceRun");
        Assert.Equal(run.GetRawText(), again.GetRawText());
        var jobs = fixture.Api.Services.GetRequiredService<RunJobs>();
        Assert.Single(await jobs.ReadAsync("wrk_test", 1000), j => j.RunId == id);

        var worker = TestRunWorker.Of(fixture);
        await worker.CarryAsync(id, "out");
        var error = await tenant.PostAsync(id, "start").ErrorAsync(409, "conflict");
        Assert.Equal("succeeded", error.GetProperty("details").Text("status"));
        Assert.EndsWith(
            "archive_uploaded starting extracting running stdout:out collecting succeeded terminal",
            await tenant.StoryAsync(id), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Start_WithASandbox_IsForItsNodeAndKeepsIt(bool warm)
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var id = await tenant.UploadedAsync(warm ? new { command = "x", sandboxId = sandbox } : new { command = "x", keepSandbox = true });
        var run = (await tenant.PostAsync(id, "start").JsonAsync()).GetProperty("workspaceRun");
        Assert.Equal("not_requested", run.Text("cleanupStatus"));
        var jobs = fixture.Api.Services.GetRequiredService<RunJobs>();
        var others = (await jobs.ReadAsync("wrk_other", 1000)).Select(j => j.RunId).ToList();
        var its = (await jobs.ReadAsync(fixture.Worker.Id, 1000)).Select(j => j.RunId).ToList();
        Assert.Equal((!warm, warm), (others.Contains(id), its.Contains(id)));
    }

    [Fact]
    public async Task Start_ManyAtOnce_IsToldOnce()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync();
        await using var second = fixture.StartApi();
        using var other = second.Client(tenant.Secret);
        var responses = await Task.WhenAll(Enumerable.Range(0, 8).Select(n =>
            (n % 2 == 0 ? tenant.Http : other).PostAsync(new Uri($"/v1/workspace-runs/{id}/start", UriKind.Relative), null)));
        Assert.All(responses, r => Assert.Equal(200, (int)r.StatusCode));
        Assert.Single((await tenant.StoryAsync(id)).Split(' '), e => e == "starting");
        Assert.Single(await fixture.Api.Services.GetRequiredService<RunJobs>().ReadAsync("wrk_test", 1000), j => j.RunId == id);
    }

    [Fact]
    public async Task Start_AgainstCancel_HasOneOutcomeThatEventsTell()
    {
        var tenant = await fixture.TenantAsync();
        for (var i = 0; i < 5; i++)
        {
            var id = await tenant.UploadedAsync();
            var starting = tenant.PostAsync(id, "start");
            using var canceled = await tenant.PostAsync(id, "cancel");
            using var started = await starting;
            Assert.Equal(200, (int)canceled.StatusCode);
            Assert.Contains((int)started.StatusCode, new[] { 200, 409 });
            var run = await tenant.ReadRunAsync(id);
            Assert.Equal("canceled", run.Text("status"));
            var story = await tenant.StoryAsync(id);
            Assert.Equal(run.Has("startedAt"), story.Contains(" starting canceled", StringComparison.Ordinal));
            Assert.DoesNotContain("canceled starting", story, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Start_WithoutRedis_IsFoundByWorkersInTheDatabase()
    {
        await using var api = new ApiInstance(fixture.Database, $"127.0.0.1:{FreePort.Next()}");
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.UploadedAsync();
        using var response = await tenant.PostAsync(id, "start");
        Assert.Equal(200, (int)response.StatusCode);
        var runs = fixture.Api.Services.GetRequiredService<WorkspaceRunStore>();
        Assert.Contains(id, await runs.ListClaimableAsync("wrk_test", DateTimeOffset.UtcNow, 1000, default));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancel_BeforeItsStart_IsClosedByTheApi(bool uploaded)
    {
        var tenant = await fixture.TenantAsync();
        var id = uploaded ? await tenant.UploadedAsync() : await tenant.RunAsync();
        var run = (await tenant.PostAsync(id, "cancel").JsonAsync()).GetProperty("workspaceRun");
        Assert.Equal(("canceled", "canceled", "not_requested"), (run.Text("status"), run.Text("failureClass"), run.Text("cleanupStatus")));
        Assert.True(run.GetProperty("evidenceAvailable").GetBoolean() && run.GetProperty("orchestrationSucceeded").GetBoolean());
        Assert.False(run.Has("failureReason") || run.Has("startedAt") || run.Has("durationMs"));
        Assert.Equal(("[]", "[]"), (run.GetProperty("artifactIds").GetRawText(), run.GetProperty("artifactErrors").GetRawText()));
        Assert.EndsWith(" canceled terminal", await tenant.StoryAsync(id), StringComparison.Ordinal);
        var evidence = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence");
        Assert.Equal(("canceled", uploaded), (evidence.Text("status"), evidence.Has("archive")));
        Assert.Equal(run.GetRawText(), (await tenant.PostAsync(id, "cancel").JsonAsync()).GetProperty("workspaceRun").GetRawText());
        await tenant.PostAsync(id, "start").ErrorAsync(409, "conflict");
    }

    [Theory]
    [InlineData(WorkspaceRunStatus.Starting)]
    [InlineData(WorkspaceRunStatus.Extracting)]
    [InlineData(WorkspaceRunStatus.Running)]
    [InlineData(WorkspaceRunStatus.Collecting)]
    public async Task Cancel_WhileItsWorkerCarriesIt_IsShownAtOnceAndClosedByTheWorker(string status)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(id, "start");
        var worker = TestRunWorker.Of(fixture);
        await worker.ClaimAsync(id);
        await worker.AdvanceAsync(id, status);
        var run = (await tenant.PostAsync(id, "cancel").JsonAsync()).GetProperty("workspaceRun");
        Assert.Equal(("canceled", "pending"), (run.Text("status"), run.Text("cleanupStatus")));
        Assert.False(run.GetProperty("evidenceAvailable").GetBoolean());
        await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence").ErrorAsync(409, "conflict");
        await worker.EndAsync(id, exitCode: null);
        run = await tenant.ReadRunAsync(id);
        Assert.Equal(("canceled", "succeeded"), (run.Text("status"), run.Text("cleanupStatus")));
        Assert.EndsWith($"{status} canceled terminal", await tenant.StoryAsync(id), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(WorkspaceRunStatus.Succeeded, null)]
    [InlineData(WorkspaceRunStatus.Failed, WorkspaceRunFailure.Timeout)]
    public async Task Cancel_Final_ChangesNothing(string status, string? reason)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(id, "start");
        var worker = TestRunWorker.Of(fixture);
        await worker.ClaimAsync(id);
        await worker.AdvanceAsync(id, WorkspaceRunStatus.Collecting);
        await worker.EndAsync(id, status, reason);
        var before = await tenant.ReadRunAsync(id);
        using var response = await tenant.PostAsync(id, "cancel");
        Assert.Equal(200, (int)response.StatusCode);
        Assert.Equal(before.GetRawText(), (await response.JsonAsync()).GetProperty("workspaceRun").GetRawText());
        Assert.Equal(status, (await tenant.ReadRunAsync(id)).Text("status"));
    }

    [Fact]
    public async Task Cancel_StorageAway_IsCanceledAndClosedWhenItIsBack()
    {
        await using var api = fixture.StartApi(("Api:WorkspaceRuns:SweepInterval", "00:00:00.1"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.RunAsync();
        var away = fixture.Database.ObjectsDirectory + "-away";
        Directory.Move(fixture.Database.ObjectsDirectory, away);
        try
        {
            var run = (await tenant.PostAsync(id, "cancel").JsonAsync()).GetProperty("workspaceRun");
            Assert.Equal("canceled", run.Text("status"));
            Assert.False(run.GetProperty("evidenceAvailable").GetBoolean());
            await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence").ErrorAsync(409, "conflict");
            var waits = (await tenant.EventsAsync(id))[^1];
            Assert.Equal(("status", "canceled"), (waits.Text("type"), waits.Text("status")));
            Assert.Contains("evidence", waits.Text("message"), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Move(away, fixture.Database.ObjectsDirectory);
        }

        await Eventually.HoldsAsync(
            async () => (await tenant.StoryAsync(id)).EndsWith("canceled terminal", StringComparison.Ordinal), "the run is closed");
        Assert.Equal("canceled", (await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence")).Text("status"));
    }
}
