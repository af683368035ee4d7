using System.Net.Http.Json;
using System.Security.Cryptography;
using CrowNest.Api.Tests.Files;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.Api.Tests.Artifacts;

public sealed class ArtifactTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Create_EverythingGiven_IsReturnedAndOutlivesItsSandbox()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.PutAsync(new { path = "dist/app.js", content = "let a = 1;", createParents = true });
        var body = new { path = "dist/app.js", remotePath = "builds/42/app.js", contentType = "text/javascript", metadata = new { step = "bundle" } };
        using var response = await box.CreateArtifactAsync(body);
        Assert.Equal(201, (int)response.StatusCode);
        var artifact = (await response.JsonAsync()).GetProperty("artifact");
        Assert.True(Ids.IsValid(artifact.Text("id"), Ids.Artifact));
        Assert.Equal((box.Tenant.OrgId, box.Tenant.ProjectId, box.Id), (artifact.Text("orgId"), artifact.Text("projectId"), artifact.Text("sandboxId")));
        Assert.Equal(("app.js", "builds/42/app.js", "text/javascript", "/workspace/dist/app.js"),
            (artifact.Text("name"), artifact.Text("remotePath"), artifact.Text("contentType"), artifact.Text("sourcePath")));
        Assert.Equal("bundle", artifact.GetProperty("metadata").Text("step"));
        Assert.Equal(10, artifact.Number("sizeBytes"));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData("let a = 1;"u8)), artifact.Text("sha256"));
        Assert.Equal(TimeSpan.FromDays(30), artifact.Time("retentionExpiresAt") - artifact.Time("createdAt"));
        Assert.False(artifact.Has("deletedAt") || artifact.Has("sessionId"));
        Assert.DoesNotContain("workspace", artifact.Text("objectKey"), StringComparison.Ordinal);
        Assert.Equal(10, await box.CountedAsync("artifact_bytes_stored"));

        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{box.Id}", UriKind.Relative));
        Assert.Equal(artifact.GetRawText(), (await box.Tenant.GetAsync($"/v1/artifacts/{artifact.Text("id")}", "artifact")).GetRawText());
        Assert.Equal(artifact.GetRawText(), (await box.Tenant.GetAsync($"/v1/sandboxes/{box.Id}/artifacts", "data"))[0].GetRawText());
        using var download = await box.DownloadAsync(artifact.Text("id")!);
        Assert.Equal("let a = 1;", await download.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Create_PathAlone_TellsTheRestFromIt()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.PutAsync(new { path = "out/data.csv", content = "a,b", createParents = true });
        var artifact = await box.ArtifactAsync("/workspace/out/data.csv");
        Assert.Equal(("data.csv", "out/data.csv", "text/csv"), (artifact.Text("name"), artifact.Text("remotePath"), artifact.Text("contentType")));
        Assert.Equal("{}", artifact.GetProperty("metadata").GetRawText());
        var again = await box.ArtifactAsync("/workspace/out/data.csv");
        Assert.NotEqual(artifact.Text("id"), again.Text("id"));
        Assert.NotEqual(artifact.Text("objectKey"), again.Text("objectKey"));
        Assert.Equal([again.Text("id"), artifact.Text("id")], (await box.Tenant.GetAsync("/v1/artifacts?remotePath=out%2Fdata.csv", "data")).EnumerateArray().Select(a => a.Text("id")));
    }

    [Theory]
    [InlineData("r", 1024, 255)]
    [InlineData("𝄞", 255, 254)]
    public async Task Create_RemotePathLongerThanAName_IsNamedByItsBeginning(string character, int count, int length)
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "1");
        var remotePath = string.Concat(Enumerable.Repeat(character, count));
        using var response = await box.CreateArtifactAsync(new { path = "f", remotePath });
        var artifact = (await response.JsonAsync()).GetProperty("artifact");
        Assert.Equal((remotePath, remotePath[..length]), (artifact.Text("remotePath"), artifact.Text("name")));
    }

    [Fact]
    public async Task Delete_AnArtifact_RemovesItsBytesAndLeavesATombstoneThatNobodySees()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("a", "1");
        var artifact = await box.ArtifactAsync("a");
        var onDisk = fixture.Worker.Artifacts.ObjectPath(artifact.Text("objectKey")!);
        Assert.True(File.Exists(onDisk));
        var deleted = (await box.Http.DeleteAsync(new Uri($"/v1/artifacts/{artifact.Text("id")}", UriKind.Relative)).JsonAsync()).GetProperty("artifact");
        Assert.True(deleted.Time("deletedAt") >= artifact.Time("createdAt"));
        Assert.False(File.Exists(onDisk));
        await box.Http.DeleteAsync(new Uri($"/v1/artifacts/{artifact.Text("id")}", UriKind.Relative)).ErrorAsync(404, "not_found");
        await box.Http.GetAsync(new Uri($"/v1/artifacts/{artifact.Text("id")}", UriKind.Relative)).ErrorAsync(404, "not_found");
        await box.DownloadAsync(artifact.Text("id")!).ErrorAsync(404, "not_found");
        Assert.Empty((await box.Tenant.GetAsync("/v1/artifacts", "data")).EnumerateArray());
    }

    [Fact]
    public async Task Import_OfADestroyedSandboxsArtifact_WritesAndMakesDirectories()
    {
        var source = await FileBox.CreateAsync(fixture);
        await source.WriteAsync("a", "payload");
        var artifact = await source.ArtifactAsync("a");
        await source.Http.DeleteAsync(new Uri($"/v1/sandboxes/{source.Id}", UriKind.Relative));
        var target = source with { Id = await source.Tenant.SandboxAsync() };
        var imported = await target.PostAsync("/from-artifact", new { artifactId = artifact.Text("id"), path = "new/dir/b" }).JsonAsync();
        Assert.Equal((artifact.Text("id"), artifact.Text("sha256")), (imported.Text("artifactId"), imported.Text("sha256")));
        Assert.Equal(("/workspace/new/dir/b", 7L), (imported.GetProperty("file").Text("path"), imported.GetProperty("file").Number("sizeBytes")));
        Assert.Equal("payload", (await target.GetAsync("/read?path=new/dir/b").JsonAsync()).Text("content"));
        Assert.Equal(14, await target.CountedAsync("file_bytes_written"));
    }
}

internal static class ArtifactShortcuts
{
    public static Task<HttpResponseMessage> CreateArtifactAsync(this FileBox box, object body) =>
        box.Http.PostAsJsonAsync($"/v1/sandboxes/{box.Id}/artifacts", body);

    /// <summary>An artifact of a file that is there.</summary>
    public static async Task<System.Text.Json.JsonElement> ArtifactAsync(this FileBox box, string path)
    {
        using var response = await box.CreateArtifactAsync(new { path });
        Assert.Equal(201, (int)response.StatusCode);
        return (await response.JsonAsync()).GetProperty("artifact");
    }

    public static Task<HttpResponseMessage> DownloadAsync(this FileBox box, string artifactId, string? range = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/artifacts/{artifactId}/download");
        request.Headers.TryAddWithoutValidation("Range", range);
        return box.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }
}
