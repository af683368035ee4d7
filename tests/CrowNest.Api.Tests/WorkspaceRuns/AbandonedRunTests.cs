using CrowNest.Api.Maintenance;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>Runs that nobody carries (docs/protocols.md 9), with two instances that both see to them.</summary>
public sealed class AbandonedRunTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task NeverUploaded_HasFailedForItsUpload()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        await AgeAsync(id, "created_at = created_at - interval '25 hours'");
        await SweptAsync(tenant, id);
        var run = await tenant.ReadRunAsync(id);
        Assert.Equal(("failed", "upload_missing", "user_input"), (run.Text("status"), run.Text("failureReason"), run.Text("failureClass")));
        Assert.True(run.GetProperty("orchestrationSucceeded").GetBoolean() && run.Has("failureMessage"));
        Assert.Equal("awaiting_archive failed terminal", await tenant.StoryAsync(id));
        Assert.Equal("upload_missing", (await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence")).Text("failureReason"));
        await tenant.UploadAsync(id, RunCalls.Archive()).ErrorAsync(409, "upload_conflict");
    }

    [Fact]
    public async Task UploadedAndNeverStarted_IsCanceledByThePlatformAndItsArchiveGoes()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync();
        var young = await tenant.UploadedAsync();
        await AgeAsync(id, "uploaded_at = uploaded_at - interval '8 days'");
        await SweptAsync(tenant, id);
        var run = await tenant.ReadRunAsync(id);
        Assert.Equal(("canceled", "canceled", "not_requested"), (run.Text("status"), run.Text("failureClass"), run.Text("cleanupStatus")));
        Assert.False(run.Has("failureReason") || run.Has("startedAt") || run.Has("sandboxId"));
        Assert.EndsWith("archive_uploaded canceled terminal", await tenant.StoryAsync(id), StringComparison.Ordinal);
        Assert.Contains("platform", (await tenant.EventsAsync(id))[^2].Text("message"), StringComparison.Ordinal);
        var evidence = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence");
        Assert.Equal(("canceled", run.Text("failureMessage")), (evidence.Text("status"), evidence.Text("failureMessage")));
        await tenant.PostAsync(id, "start").ErrorAsync(409, "conflict");
        Assert.Equal("archive_uploaded", (await tenant.ReadRunAsync(young)).Text("status"));

        await using var api = fixture.StartApi(
            ("Api:Objects:Interval", "00:00:00.1"), ("Api:Objects:SpareArchives", "00:00:00"),
            ("Api:WorkspaceRuns:KeepArchives", "00:00:00"));
        await Eventually.HoldsAsync(
            () => tenant.Objects(id).All(o => o.Contains("evidence", StringComparison.Ordinal)), "its archive is gone");
        Assert.Single(tenant.Objects(young));
    }

    [Fact]
    public async Task UploadedWhileTheSweepEndsIt_IsNotFailedForItsUpload()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        var services = fixture.Api.Services;
        var stale = (await services.GetRequiredService<WorkspaceRunStore>().FindAsync(id, default))!;
        using var uploaded = await tenant.UploadAsync(id, RunCalls.Archive());
        await services.GetRequiredService<AbandonedRunCompletion>().EndAbandonedAsync(stale, default);
        Assert.Equal("archive_uploaded", (await tenant.ReadRunAsync(id)).Text("status"));
        Assert.DoesNotContain(tenant.Objects(id), o => o.Contains("evidence", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Unclaimed_HasFailedByThePlatform()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(id, "start");
        await AgeAsync(id, "started_at = started_at - interval '6 minutes'");
        await SweptAsync(tenant, id);
        var run = await tenant.ReadRunAsync(id);
        Assert.Equal(("failed", "internal_error", "platform"), (run.Text("status"), run.Text("failureReason"), run.Text("failureClass")));
        Assert.False(run.GetProperty("orchestrationSucceeded").GetBoolean());
        Assert.Equal("succeeded", run.Text("cleanupStatus"));
        Assert.EndsWith("starting failed terminal", await tenant.StoryAsync(id), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task OfALostWorker_HasFailedAndItsSandboxIsTold(bool canceled)
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(id, "start");
        await using var database = NpgsqlDataSource.Create(fixture.Database.ConnectionString);
        var lost = Ids.New(Ids.Worker);
        await new WorkerStore(database).RenewLeaseAsync(
            lost, "http://127.0.0.1:1", "runc", DateTimeOffset.UtcNow, TimeSpan.FromMinutes(1), default);
        var worker = new TestRunWorker(fixture.Api.Services, lost);
        await worker.ClaimAsync(id);
        // In a sandbox of a node that lives: that one is told to destroy it.
        var sandbox = await tenant.SandboxAsync();
        await worker.SandboxAsync(id, sandbox);
        await worker.AdvanceAsync(id, WorkspaceRunStatus.Running);
        if (canceled)
        {
            using var response = await tenant.PostAsync(id, "cancel");
            Assert.Equal(200, (int)response.StatusCode);
        }

        await fixture.Database.ExecuteAsync($"UPDATE workers SET lease_expires_at = now() - interval '6 minutes' WHERE id = '{lost}'");
        await AgeAsync(id, "started_at = started_at - interval '6 minutes'");
        await using var api = fixture.StartApi(("Api:WorkspaceRuns:SweepInterval", "00:00:00.1"));
        var sandboxes = new SandboxStore(database);
        await Eventually.HoldsAsync(
            async () => (await sandboxes.FindAsync(sandbox, default))!.State == SandboxStatus.Expiring, "the sandbox is to be destroyed");
        Assert.False((await tenant.ReadRunAsync(id)).GetProperty("evidenceAvailable").GetBoolean());
        await fixture.Worker.DestroyAsync(sandbox);
        await ClosedAsync(tenant, id);
        var run = await tenant.ReadRunAsync(id);
        Assert.Equal((canceled ? "canceled" : "failed", "succeeded"), (run.Text("status"), run.Text("cleanupStatus")));
        Assert.Equal(canceled, !run.Has("failureReason"));
        Assert.EndsWith($"running {run.Text("status")} terminal", await tenant.StoryAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OneThatCanNotBeEnded_KeepsNoOtherFromIt()
    {
        var tenant = await fixture.TenantAsync();
        var stuck = await tenant.RunAsync();
        var other = await tenant.RunAsync();
        await AgeAsync(stuck, "created_at = created_at - interval '26 hours', artifact_ids = ARRAY['art_that_never_was']");
        await AgeAsync(other, "created_at = created_at - interval '25 hours'");
        await SweptAsync(tenant, other);
        Assert.Equal("awaiting_archive", (await tenant.ReadRunAsync(stuck)).Text("status"));
        await AgeAsync(stuck, "artifact_ids = ARRAY[]::text[]");
        await SweptAsync(tenant, stuck);
    }

    private Task<int> AgeAsync(string id, string set) =>
        fixture.Database.ExecuteAsync($"UPDATE workspace_runs SET {set} WHERE id = '{id}'");

    private async Task SweptAsync(Tenant tenant, string id)
    {
        await using var first = fixture.StartApi(("Api:WorkspaceRuns:SweepInterval", "00:00:00.1"));
        await using var second = fixture.StartApi(("Api:WorkspaceRuns:SweepInterval", "00:00:00.1"));
        await ClosedAsync(tenant, id);
    }

    private static Task ClosedAsync(Tenant tenant, string id) => Eventually.HoldsAsync(
        async () => (await tenant.StoryAsync(id)).EndsWith("terminal", StringComparison.Ordinal), "the run is closed");
}
