using System.Net.Http.Json;
using System.Text.Json;
using CrowNest.Api.Tests.Files;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Artifacts;

public sealed class ArtifactListTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task List_Filters_CombineAndPageThroughEverythingOnce()
    {
        var box = await FileBox.CreateAsync(fixture);
        var second = box with { Id = await box.Tenant.SandboxAsync() };
        await box.WriteAsync("f", "1");
        await second.WriteAsync("f", "2");
        for (var i = 0; i < 5; i++)
        {
            await box.CreateArtifactAsync(new { path = "f", remotePath = $"b%_{i}/x", metadata = new { n = $"{i}", all = "y" } });
        }

        await second.CreateArtifactAsync(new { path = "f", remotePath = "bXY/x", metadata = new { all = "y" } });
        Assert.Equal(6, (await ListAsync("")).Count);
        Assert.Equal(5, (await ListAsync($"?sandboxId={box.Id}")).Count);
        Assert.Equal(["bXY/x"], await ListAsync($"?sandboxId={second.Id}"));
        Assert.Equal(["b%_3/x"], await ListAsync("?metadata.n=3&metadata.all=y"));
        Assert.Empty(await ListAsync("?metadata.n=3&metadata.all=n"));
        Assert.Equal(["b%_4/x"], await ListAsync("?remotePath=b%25_4%2Fx"));
        Assert.Equal(5, (await ListAsync("?remotePathPrefix=b%25_")).Count);
        Assert.Equal(6, (await ListAsync($"?projectId={box.Tenant.ProjectId}&remotePathPrefix=b")).Count);

        var seen = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await box.Http.GetAsync(new Uri($"/v1/artifacts?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}", UriKind.Relative)).JsonAsync();
            seen.AddRange(page.GetProperty("data").EnumerateArray().Select(a => a.Text("id")));
            cursor = page.GetProperty("hasMore").GetBoolean() ? page.Text("nextCursor") : null;
        }
        while (cursor is not null);
        Assert.Equal(6, seen.Distinct().Count());
        Assert.Equal(6, seen.Count);

        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{box.Id}", UriKind.Relative));
        Assert.Equal(5, (await ListAsync($"?sandboxId={box.Id}")).Count);

        async Task<List<string?>> ListAsync(string query) =>
            [.. (await box.Tenant.GetAsync($"/v1/artifacts{query}", "data")).EnumerateArray().Select(a => a.Text("remotePath"))];
    }

    [Fact]
    public async Task Retention_Passed_RemovesTheBytesAndKeepsATombstone()
    {
        await using var first = fixture.StartApi(("Api:Artifacts:RemovalInterval", "00:00:00.1"));
        await using var second = fixture.StartApi(("Api:Artifacts:RemovalInterval", "00:00:00.1"));
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "1");
        var kept = await box.ArtifactAsync("f");
        var expired = await box.ArtifactAsync("f");
        var onDisk = Object(expired);
        await fixture.Database.ExecuteAsync($"UPDATE artifacts SET retention_expires_at = now() WHERE id = '{expired.Text("id")}'");
        await box.Http.GetAsync(new Uri($"/v1/artifacts/{expired.Text("id")}", UriKind.Relative)).ErrorAsync(404, "not_found");
        await Eventually.HoldsAsync(() => !File.Exists(onDisk), "the bytes are gone");
        await Eventually.HoldsAsync(async () => await TombstonesAsync("retention_expired AND removed", expired) == 1, "the tombstone says so");
        Assert.True(File.Exists(Object(kept)));
        Assert.Equal(kept.Text("id"), Assert.Single((await box.Tenant.GetAsync("/v1/artifacts", "data")).EnumerateArray()).Text("id"));
    }

    [Fact]
    public async Task Retention_PassedAndNotYetSwept_HidesTheArtifactEverywhere()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "1");
        var session = (await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { sandboxId = box.Id }).JsonAsync()).GetProperty("session");
        var kept = (await box.CreateArtifactAsync(new { path = "f", sessionId = session.Text("id") }).JsonAsync()).GetProperty("artifact");
        var expired = (await box.CreateArtifactAsync(new { path = "f", sessionId = session.Text("id") }).JsonAsync()).GetProperty("artifact");
        await fixture.Database.ExecuteAsync($"UPDATE artifacts SET retention_expires_at = now() WHERE id = '{expired.Text("id")}'");
        foreach (var list in new[] { "/v1/artifacts", $"/v1/sandboxes/{box.Id}/artifacts", $"/v1/agent-sessions/{session.Text("id")}/artifacts" })
        {
            Assert.Equal(kept.Text("id"), Assert.Single((await box.Tenant.GetAsync(list, "data")).EnumerateArray()).Text("id"));
        }

        var one = $"/v1/artifacts/{expired.Text("id")}";
        await box.Http.GetAsync(new Uri(one, UriKind.Relative)).ErrorAsync(404, "not_found");
        await box.Http.GetAsync(new Uri($"{one}/download", UriKind.Relative)).ErrorAsync(404, "not_found");
        await box.Http.PostAsJsonAsync($"{one}/download-url", new { }).ErrorAsync(404, "not_found");
        await box.Http.DeleteAsync(new Uri(one, UriKind.Relative)).ErrorAsync(404, "not_found");
        await box.PostAsync("/from-artifact", new { path = "g", artifactId = expired.Text("id") }).ErrorAsync(404, "not_found");
        // It is the row that hides it: nobody has removed it yet.
        Assert.True(File.Exists(Object(expired)));
    }

    [Fact]
    public async Task Removal_ThatStorageRefuses_IsTriedAgain()
    {
        await using var api = fixture.StartApi(("Api:Artifacts:RemovalInterval", "00:00:00.1"));
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "1");
        var artifact = await box.ArtifactAsync("f");
        var onDisk = Object(artifact);
        // A folder in its place cannot be removed as an object.
        File.Delete(onDisk);
        Directory.CreateDirectory(onDisk);
        Assert.Equal(200, (int)(await box.Http.DeleteAsync(new Uri($"/v1/artifacts/{artifact.Text("id")}", UriKind.Relative))).StatusCode);
        await box.Http.GetAsync(new Uri($"/v1/artifacts/{artifact.Text("id")}", UriKind.Relative)).ErrorAsync(404, "not_found");
        Assert.Equal(1, await TombstonesAsync("user_deleted", artifact));
        Directory.Delete(onDisk);
        await File.WriteAllTextAsync(onDisk, "1");
        await Eventually.HoldsAsync(async () => !File.Exists(onDisk) && await TombstonesAsync("user_deleted AND removed", artifact) == 1, "a later round removed it");
    }

    [Fact]
    public async Task Export_ThatNeverFinished_IsClearedAwayAfterADay()
    {
        await using var api = fixture.StartApi(("Api:Artifacts:RemovalInterval", "00:00:00.1"));
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "1");
        var artifact = await box.ArtifactAsync("f");
        await fixture.Database.ExecuteAsync(
            $"UPDATE artifacts SET state = 'storing', created_at = now() - interval '25 hours' WHERE id = '{artifact.Text("id")}'");
        await Eventually.HoldsAsync(
            async () => !File.Exists(Object(artifact)) && await TombstonesAsync("abandoned AND removed", artifact) == 1, "the export was given up");
    }

    private string Object(JsonElement artifact) => fixture.Worker.Artifacts.ObjectPath(artifact.Text("objectKey")!);

    private Task<int> TombstonesAsync(string how, JsonElement artifact)
    {
        var reason = how.Split(' ')[0];
        var removed = how.EndsWith("removed", StringComparison.Ordinal) ? "AND bytes_removed_at IS NOT NULL" : "";
        return fixture.Database.ExecuteAsync(
            $"UPDATE artifacts SET name = name WHERE id = '{artifact.Text("id")}' AND state = 'deleted' AND deleted_reason = '{reason}' {removed}");
    }
}
