using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Commands;

/// <summary>
/// The API's part of a collection (docs/reference/api.md 5.4): what is stored at acceptance, and what is shown and waited for afterwards.
/// </summary>
public sealed class CollectTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Run_WithCollect_AnswersWhenTheCollectionIsOver()
    {
        var tenant = await fixture.TenantAsync("scale");
        var sandbox = await tenant.SandboxAsync();
        var running = tenant.RunAsync(sandbox, new { command = "hang", collect = new object[] { new { path = "a" }, new { path = "b", name = "n" } }, collectOn = "always" });
        var id = await LaunchedAsync(sandbox);
        Assert.Equal("pending", (await tenant.GetAsync($"/v1/commands/{id}", "command")).Text("collectStatus"));
        var row = await fixture.Worker.Commands.FindAsync(id, CancellationToken.None);
        Assert.Equal([new CollectItem("a"), new CollectItem("b", "n")], row!.Collect!.Entries);
        Assert.Equal(("always", (long)TimeSpan.FromDays(90).TotalMilliseconds, 1L << 30), (row.Collect.On, row.Collect.RetentionMs, row.Collect.MaxBytes));

        await fixture.Worker.Command(id).ExitAsync(1);
        Assert.Equal("exited", (await tenant.GetAsync($"/v1/commands/{id}", "command")).Text("status"));
        Assert.False(running.IsCompleted);
        await fixture.Worker.Commands.FinishCollectAsync(
            id, CollectStatus.Partial, [new CollectFailure("file_not_found", "There is no b.", "b")], CancellationToken.None);
        var command = (await running.JsonAsync()).GetProperty("command");
        Assert.Equal(("exited", 1L, "partial"), (command.Text("status"), command.Number("exitCode"), command.Text("collectStatus")));
        var error = Assert.Single(command.GetProperty("collectErrors").EnumerateArray());
        Assert.Equal(("file_not_found", "There is no b.", "b"), (error.Text("code"), error.Text("message"), error.Text("path")));
    }

    [Theory]
    [InlineData("exit 1", "skipped")]
    [InlineData("timeout", "skipped")]
    public async Task Run_ThatDoesNotSucceed_SkipsWhatWasToBeCollectedOnSuccess(string command, string status)
    {
        var tenant = await fixture.TenantAsync();
        var answer = (await tenant.RunAsync(await tenant.SandboxAsync(), new { command, collect = new[] { new { path = "a" } } }).JsonAsync()).GetProperty("command");
        Assert.Equal(status, answer.Text("collectStatus"));
        Assert.False(answer.Has("collectErrors"));
    }

    [Fact]
    public async Task Run_WhoseSandboxGoes_FailsWhatWasAlwaysToBeCollected()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        var running = tenant.RunAsync(sandbox, new { command = "hang", collect = new[] { new { path = "a" } }, collectOn = "always" });
        await LaunchedAsync(sandbox);
        await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{sandbox}", UriKind.Relative));
        var command = (await running.JsonAsync()).GetProperty("command");
        Assert.Equal(("killed", "failed"), (command.Text("status"), command.Text("collectStatus")));
        Assert.Equal("artifact_collect_failed", Assert.Single(command.GetProperty("collectErrors").EnumerateArray()).Text("code"));
    }

    [Fact]
    public async Task Run_WithCollectAndWithoutItsScope_IsForbiddenBeforeAnythingRuns()
    {
        var tenant = await fixture.TenantAsync();
        var sandbox = await tenant.SandboxAsync();
        using var runner = await tenant.WithKeyAsync([Scopes.CommandRun]);
        var error = await runner.PostAsync(
            new Uri($"/v1/sandboxes/{sandbox}/commands/run", UriKind.Relative), new StringContent("""{"command":"true","collect":[{"path":"a"}]}"""))
            .ErrorAsync(403, "forbidden");
        Assert.Equal(Scopes.ArtifactCreate, error.GetProperty("details").Text("requiredScope"));
        Assert.Empty((await tenant.GetAsync($"/v1/sandboxes/{sandbox}/commands", "data")).EnumerateArray());
    }

    private async Task<string> LaunchedAsync(string sandbox)
    {
        await Eventually.HoldsAsync(() => fixture.Worker.Launched.Any(l => l.SandboxId == sandbox), "the command runs");
        var id = fixture.Worker.Launched.Single(l => l.SandboxId == sandbox).CommandId;
        await Eventually.HoldsAsync(async () => (await fixture.Worker.Commands.FindAsync(id, CancellationToken.None))?.State == "running", "its row says so");
        return id;
    }
}
