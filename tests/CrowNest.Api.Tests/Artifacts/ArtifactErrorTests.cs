using System.Net.Http.Json;
using System.Text;
using CrowNest.Api.Tests.Files;
using CrowNest.Api.Tests.Fleet;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Artifacts;

/// <summary>
/// Every error code of docs/reference/api.md 7 and docs/reference/stateset.md 3.1 to 3.4; nothing that failed is ever listed.
/// </summary>
public sealed class ArtifactErrorTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Theory]
    [InlineData("""{}""", 400, "invalid_request")]
    [InlineData("""{"path":""}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","name":""}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","remotePath":""}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","remotePath":"/abs"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","remotePath":"a//b"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","remotePath":"a/../b"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","remotePath":"./b"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","remotePath":"a\\b"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","remotePath":"a\nb"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","contentType":"html"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","contentType":"text/*"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","contentType":"text/html\r\nX: y"}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","contentType":"text/plain; a=\"ü\""}""", 400, "invalid_request")]
    [InlineData("""{"path":"f","metadata":{"a b":"c"}}""", 400, "invalid_metadata_key")]
    [InlineData("""{"path":"f","metadata":{"a":1}}""", 400, "invalid_metadata_value")]
    [InlineData("""{"path":"f","metadata":{"1":"","2":"","3":"","4":"","5":"","6":"","7":"","8":"","9":"","10":"","11":"","12":"","13":"","14":"","15":"","16":"","17":""}}""", 400, "metadata_too_many_keys")]
    [InlineData("""{"path":"f","sessionId":"ases_unknown"}""", 404, "not_found")]
    [InlineData("""{"path":"nope"}""", 404, "file_not_found")]
    [InlineData("""{"path":"d"}""", 400, "path_is_directory")]
    [InlineData("""{"path":"/etc/passwd"}""", 400, "path_outside_workspace")]
    public async Task Create_WithAFault_HasItsCodeAndLeavesNothing(string body, int status, string code)
    {
        var box = await BoxAsync();
        await PostAsync(box, body).ErrorAsync(status, code);
        await AssertNothingAsync(box);
    }

    [Theory]
    [InlineData(255, 1024, true)]
    [InlineData(256, 1, false)]
    [InlineData(1, 1025, false)]
    public async Task Create_NameAndRemotePath_AreBounded(int name, int remotePath, bool fits)
    {
        var box = await BoxAsync();
        using var response = await box.CreateArtifactAsync(new { path = "f", name = new string('n', name), remotePath = new string('r', remotePath) });
        Assert.Equal(fits ? 201 : 400, (int)response.StatusCode);
    }

    [Fact]
    public async Task Create_MetadataOf4096Bytes_IsTheMost()
    {
        var box = await BoxAsync();
        var metadata = Enumerable.Range(0, 8).ToDictionary(i => $"k{i}", _ => new string('v', 510));
        Assert.Equal(201, (int)(await box.CreateArtifactAsync(new { path = "f", metadata })).StatusCode);
        metadata["k8"] = "v";
        await box.CreateArtifactAsync(new { path = "f", metadata }).ErrorAsync(400, "metadata_too_large");
    }

    [Theory]
    [InlineData("download_export_failed", 502, 502, "download_export_failed")]
    [InlineData("quota_exceeded", 429, 429, "quota_exceeded")]
    [InlineData("runtime_error", 500, 500, "runtime_error")]
    [InlineData("not_found", 404, 500, "runtime_error")]
    public async Task Create_WhoseNodeRefuses_PassesTheReasonOnAndLeavesNothing(string refusal, int refused, int status, string code)
    {
        var box = await BoxAsync();
        await WithStoreAsync((_, _) => Task.FromResult<IResult?>(TestWorker.Refuse(refusal, "No.", refused)), async () =>
        {
            await box.CreateArtifactAsync(new { path = "f" }).ErrorAsync(status, code);
            await AssertNothingAsync(box);
        });
        Assert.Equal(201, (int)(await box.CreateArtifactAsync(new { path = "f" })).StatusCode);
    }

    [Fact]
    public async Task Create_WhoseNodeBreaksOffAndFinishesLate_StaysFailed()
    {
        var box = await BoxAsync();
        Task<CrowNest.Platform.Artifacts.ArtifactRow?>? late = null;
        var broken = new TaskCompletionSource();
        await WithStoreAsync((export, context) =>
        {
            late = FinishAsync();
            context.Abort();
            return Task.FromResult<IResult?>(Results.Empty);

            async Task<CrowNest.Platform.Artifacts.ArtifactRow?> FinishAsync()
            {
                await broken.Task;
                return await fixture.Worker.Artifacts.ExportAsync(box.Id, export);
            }
        }, () => box.CreateArtifactAsync(new { path = "f" }).ErrorAsync(500, "runtime_error"));
        broken.SetResult();
        Assert.Null(await late!);
        await AssertNothingAsync(box);
    }

    [Fact]
    public async Task Create_AboveTheCeiling_IsTooLarge()
    {
        await using var api = fixture.StartApi(("Api:Artifacts:MaxBytes", "2"));
        var box = await BoxAsync();
        using var client = api.Client(box.Tenant.Secret);
        var error = await client.PostAsJsonAsync($"/v1/sandboxes/{box.Id}/artifacts", new { path = "f" }).ErrorAsync(413, "file_too_large");
        Assert.Equal(2, error.GetProperty("details").Number("max"));
        await AssertNothingAsync(box);
    }

    [Fact]
    public async Task Create_AboveWhatTheOrganizationMayKeep_ExceedsAQuota()
    {
        await using var api = fixture.StartApi(("Api:Artifacts:MaxStoredBytes", "5"));
        var box = await BoxAsync();
        using var client = api.Client(box.Tenant.Secret);
        var first = (await CreateAsync().JsonAsync()).GetProperty("artifact");
        // Three bytes are kept, two are left, three are asked for.
        var error = await CreateAsync().ErrorAsync(429, "quota_exceeded");
        Assert.Equal(("artifact_bytes_stored", 5L, 3L),
            (error.GetProperty("details").Text("quota"), error.GetProperty("details").Number("limit"), error.GetProperty("details").Number("current")));
        await box.WriteAsync("f", "xy");
        Assert.Equal(201, (int)(await CreateAsync()).StatusCode);
        await CreateAsync().ErrorAsync(429, "quota_exceeded");
        await client.DeleteAsync(new Uri($"/v1/artifacts/{first.Text("id")}", UriKind.Relative));
        Assert.Equal(201, (int)(await CreateAsync()).StatusCode);

        Task<HttpResponseMessage> CreateAsync() => client.PostAsJsonAsync($"/v1/sandboxes/{box.Id}/artifacts", new { path = "f" });
    }

    [Theory]
    [InlineData("artifacts", """{"path":"f"}""", new[] { Scopes.ArtifactCreate }, Scopes.FileRead)]
    [InlineData("artifacts", """{"path":"f"}""", new[] { Scopes.FileRead }, Scopes.ArtifactCreate)]
    [InlineData("files/from-artifact", """{"path":"f","artifactId":"art_0"}""", new[] { Scopes.FileWrite }, Scopes.ArtifactRead)]
    [InlineData("files/from-artifact", """{"path":"f","artifactId":"art_0"}""", new[] { Scopes.ArtifactRead }, Scopes.FileWrite)]
    public async Task CreateAndImport_WithHalfTheScopes_AreForbidden(string route, string body, string[] scopes, string missing)
    {
        var box = await BoxAsync();
        using var client = await box.Tenant.WithKeyAsync(scopes);
        var error = await client.PostAsync(new Uri($"/v1/sandboxes/{box.Id}/{route}", UriKind.Relative), new StringContent(body)).ErrorAsync(403, "forbidden");
        Assert.Equal(missing, error.GetProperty("details").Text("requiredScope"));
    }

    [Theory]
    [InlineData("""{"artifactId":"{art}","path":"/etc/x"}""", 400, "path_outside_workspace")]
    [InlineData("""{"artifactId":"{art}","path":"d"}""", 400, "path_is_directory")]
    [InlineData("""{"artifactId":"{art}","path":"f/x"}""", 400, "path_not_directory")]
    [InlineData("""{"artifactId":"{art}","path":"nope/x","createParents":false}""", 404, "parent_directory_not_found")]
    [InlineData("""{"artifactId":"{art}","path":"f","overwrite":false}""", 409, "file_already_exists")]
    [InlineData("""{"artifactId":"{art}"}""", 400, "invalid_request")]
    [InlineData("""{"path":"g"}""", 400, "invalid_request")]
    [InlineData("""{"artifactId":"art_unknown","path":"g"}""", 404, "not_found")]
    public async Task Import_WithAFault_HasItsCode(string body, int status, string code)
    {
        var box = await BoxAsync();
        var artifact = await box.ArtifactAsync("f");
        await box.Http.PostAsync(
            new Uri($"{box.Root}/from-artifact", UriKind.Relative), new StringContent(body.Replace("{art}", artifact.Text("id"), StringComparison.Ordinal)))
            .ErrorAsync(status, code);
    }

    [Fact]
    public async Task Import_OfBytesThatAreGoneOrOthers_IsAFailedExport()
    {
        var box = await BoxAsync();
        var artifact = await box.ArtifactAsync("f");
        var body = new { artifactId = artifact.Text("id"), path = "g" };
        await File.WriteAllTextAsync(fixture.Worker.Artifacts.ObjectPath(artifact.Text("objectKey")!), "no!");
        await box.PostAsync("/from-artifact", body).ErrorAsync(502, "download_export_failed");
        File.Delete(fixture.Worker.Artifacts.ObjectPath(artifact.Text("objectKey")!));
        await box.PostAsync("/from-artifact", body).ErrorAsync(502, "download_export_failed");
        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{box.Id}", UriKind.Relative));
        await box.PostAsync("/from-artifact", body).ErrorAsync(410, "sandbox_destroyed");
        await box.CreateArtifactAsync(new { path = "f" }).ErrorAsync(410, "sandbox_destroyed");
    }

    [Fact]
    public async Task Import_OfAnArtifactDeletedOnTheWay_IsNotFound()
    {
        var box = await BoxAsync();
        var artifact = await box.ArtifactAsync("f");
        fixture.Worker.Artifacts.OnImport = () => box.Http.DeleteAsync(new Uri($"/v1/artifacts/{artifact.Text("id")}", UriKind.Relative));
        try
        {
            await box.PostAsync("/from-artifact", new { artifactId = artifact.Text("id"), path = "g" }).ErrorAsync(404, "not_found");
        }
        finally
        {
            fixture.Worker.Artifacts.OnImport = null;
        }
    }

    [Theory]
    [InlineData("""{"expiresInSeconds":0}""")]
    [InlineData("""{"expiresInSeconds":604801}""")]
    [InlineData("""{"expiresInSeconds":"60"}""")]
    public async Task DownloadUrl_LifetimeOutOfRange_IsInvalid(string body)
    {
        var box = await BoxAsync();
        var artifact = await box.ArtifactAsync("f");
        await box.Http.PostAsync(new Uri($"/v1/artifacts/{artifact.Text("id")}/download-url", UriKind.Relative), new StringContent(body)).ErrorAsync(400, "invalid_request");
    }

    [Fact]
    public async Task Create_RepeatedAtTheSameTimeUnderOneKey_IsOneArtifact()
    {
        var box = await BoxAsync();
        var entered = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        await WithStoreAsync(async (_, _) =>
        {
            entered.TrySetResult();
            await release.Task;
            return null;
        }, async () =>
        {
            var first = SendAsync();
            await entered.Task;
            await SendAsync().ErrorAsync(409, "idempotency_request_in_progress");
            release.SetResult();
            var made = (await first.JsonAsync()).GetProperty("artifact");
            using var repeated = await SendAsync();
            Assert.Equal(201, (int)repeated.StatusCode);
            Assert.Equal(made.GetRawText(), (await repeated.JsonAsync()).GetProperty("artifact").GetRawText());
        });
        Assert.Single((await box.Tenant.GetAsync("/v1/artifacts", "data")).EnumerateArray());

        Task<HttpResponseMessage> SendAsync()
        {
            var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/sandboxes/{box.Id}/artifacts") { Content = JsonContent.Create(new { path = "f" }) };
            request.Headers.Add("Idempotency-Key", "k");
            return box.Http.SendAsync(request);
        }
    }

    [Fact]
    public async Task Create_WhoseInstanceDied_IsFoundAgainByItsRepetition()
    {
        var box = await BoxAsync();
        var entered = new TaskCompletionSource<StoreArtifactCall>();
        await using (var dying = fixture.StartApi())
        {
            await WithStoreAsync(async (export, context) =>
            {
                entered.TrySetResult(new StoreArtifactCall(export));
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
                return null;
            }, async () =>
            {
                using var client = dying.Client(box.Tenant.Secret);
                var lost = SendAsync(client);
                await entered.Task;
                await dying.DisposeAsync();
                await Assert.ThrowsAnyAsync<Exception>(async () => (await lost).EnsureSuccessStatusCode());
            });
        }

        var row = await fixture.Worker.Artifacts.ExportAsync(box.Id, (await entered.Task).Export);
        await fixture.Database.ExecuteAsync("UPDATE idempotency_records SET locked_until = now()");
        var found = (await SendAsync(box.Http).JsonAsync()).GetProperty("artifact");
        Assert.Equal(row!.Id, found.Text("id"));
        Assert.Single((await box.Tenant.GetAsync("/v1/artifacts", "data")).EnumerateArray());

        Task<HttpResponseMessage> SendAsync(HttpClient client)
        {
            var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/sandboxes/{box.Id}/artifacts") { Content = JsonContent.Create(new { path = "f" }) };
            request.Headers.Add("Idempotency-Key", "k");
            return client.SendAsync(request);
        }
    }

    private sealed record StoreArtifactCall(CrowNest.Platform.Nodes.StoreArtifact Export);

    private async Task WithStoreAsync(
        Func<CrowNest.Platform.Nodes.StoreArtifact, HttpContext, Task<IResult?>> instead, Func<Task> act)
    {
        fixture.Worker.Artifacts.OnStore = instead;
        try
        {
            await act();
        }
        finally
        {
            fixture.Worker.Artifacts.OnStore = null;
        }
    }

    private async Task<FileBox> BoxAsync()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "old");
        Directory.CreateDirectory(box.OnDisk("/workspace/d"));
        return box;
    }

    private static Task<HttpResponseMessage> PostAsync(FileBox box, string body) =>
        box.Http.PostAsync(new Uri($"/v1/sandboxes/{box.Id}/artifacts", UriKind.Relative), new StringContent(body, Encoding.UTF8));

    private static async Task AssertNothingAsync(FileBox box)
    {
        Assert.Empty((await box.Tenant.GetAsync("/v1/artifacts", "data")).EnumerateArray());
        Assert.Empty((await box.Tenant.GetAsync($"/v1/sandboxes/{box.Id}/artifacts", "data")).EnumerateArray());
        Assert.Equal(0, await box.CountedAsync("artifact_bytes_stored"));
        var folder = box.Fixture.Worker.Artifacts.ObjectPath($"artifacts/{box.Tenant.OrgId}");
        Assert.Empty(Directory.Exists(folder) ? Directory.GetFiles(folder) : []);
    }
}
