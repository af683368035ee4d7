using System.Net.Http.Json;
using System.Security.Cryptography;
using CrowNest.Api.Artifacts;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Tests.Files;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Artifacts;

public sealed class ArtifactDownloadTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Theory]
    [InlineData(null, 200, "0123456789", null)]
    [InlineData("bytes=0-0", 206, "0", "bytes 0-0/10")]
    [InlineData("bytes=2-4", 206, "234", "bytes 2-4/10")]
    [InlineData("bytes=7-", 206, "789", "bytes 7-9/10")]
    [InlineData("bytes=0-", 206, "0123456789", "bytes 0-9/10")]
    [InlineData("bytes=-3", 206, "789", "bytes 7-9/10")]
    [InlineData("bytes=-99", 206, "0123456789", "bytes 0-9/10")]
    [InlineData("bytes=8-99", 206, "89", "bytes 8-9/10")]
    [InlineData("BYTES=1-1", 206, "1", "bytes 1-1/10")]
    [InlineData("bytes=0-1,3-4", 200, "0123456789", null)]
    [InlineData("bytes=4-2", 200, "0123456789", null)]
    [InlineData("bytes=a-b", 200, "0123456789", null)]
    [InlineData("lines=0-1", 200, "0123456789", null)]
    [InlineData("bytes=10-", 416, null, "bytes */10")]
    [InlineData("bytes=-0", 416, null, "bytes */10")]
    public async Task Download_Range_IsThatPart(string? range, int status, string? content, string? contentRange)
    {
        var (box, id) = await ArtifactAsync("0123456789");
        using var response = await box.DownloadAsync(id, range);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(contentRange, response.Content.Headers.ContentRange?.ToString());
        if (content is null)
        {
            Assert.Equal("invalid_request", (await response.JsonAsync()).GetProperty("error").Text("code"));
        }
        else
        {
            Assert.Equal(content.Length, response.Content.Headers.ContentLength);
            Assert.Equal(content, await response.Content.ReadAsStringAsync());
            Assert.Equal("bytes", response.Headers.AcceptRanges.Single());
        }
    }

    [Fact]
    public async Task Download_IfRange_GivesThePartOnlyOfTheSameContent()
    {
        var (box, id) = await ArtifactAsync("0123456789");
        using var whole = await box.DownloadAsync(id);
        Assert.Equal($"\"{Convert.ToHexStringLower(SHA256.HashData("0123456789"u8))}\"", whole.Headers.ETag!.ToString());
        Assert.Equal(206, await SendAsync(whole.Headers.ETag.ToString()));
        Assert.Equal(200, await SendAsync("\"other\""));
        Assert.Equal(200, await SendAsync("Sun, 22 Nov 2026 00:00:00 GMT"));
        Assert.Equal(200, await SendAsync("garbage"));

        async Task<int> SendAsync(string condition)
        {
            var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/artifacts/{id}/download");
            request.Headers.TryAddWithoutValidation("Range", "bytes=0-1");
            request.Headers.TryAddWithoutValidation("If-Range", condition);
            using var response = await box.Http.SendAsync(request);
            return (int)response.StatusCode;
        }
    }

    [Fact]
    public async Task Download_OfHtmlWithAHostileName_NeverRunsOnOurOrigin()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "<script>alert(1)</script>");
        var name = "../../x\"; filename=evil.html\r\nSet-Cookie: a=b\u202e ☃.html";
        var artifact = (await box.CreateArtifactAsync(new { path = "f", name, contentType = "text/html; charset=utf-8" }).JsonAsync()).GetProperty("artifact");
        Assert.Equal(name, artifact.Text("name"));
        using var response = await box.DownloadAsync(artifact.Text("id")!);
        Assert.Equal("text/html; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("sandbox; default-src 'none'", response.Headers.GetValues("Content-Security-Policy").Single());
        Assert.False(response.Headers.Contains("Set-Cookie"));
        var disposition = response.Content.Headers.ContentDisposition!;
        Assert.Equal("attachment", disposition.DispositionType);
        Assert.DoesNotContain("/", disposition.FileName, StringComparison.Ordinal);
        Assert.Equal("_.._x\"; filename=evil.html__Set-Cookie_ a=b_ ☃.html", disposition.FileNameStar);
    }

    [Theory]
    [InlineData("plain.txt", "attachment; filename=\"plain.txt\"")]
    [InlineData("with space", "attachment; filename=\"with space\"")]
    [InlineData("a/b\\c:d", "attachment; filename=\"a_b_c_d\"")]
    [InlineData("quo\"te", "attachment; filename=\"quo_te\"; filename*=UTF-8''quo%22te")]
    [InlineData("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt")]
    [InlineData("naïve ☃", "attachment; filename=\"na_ve _\"; filename*=UTF-8''na%C3%AFve%20%E2%98%83")]
    [InlineData("line\r\nbreak\0\u007f", "attachment; filename=\"line__break__\"")]
    [InlineData("\u202egpj.exe", "attachment; filename=\"_gpj.exe\"")]
    [InlineData("..", "attachment; filename=\"download\"")]
    [InlineData(".profile", "attachment; filename=\"profile\"")]
    [InlineData("   ", "attachment; filename=\"download\"")]
    [InlineData("𝄞", "attachment; filename=\"_\"; filename*=UTF-8''%F0%9D%84%9E")]
    public void Disposition_OfAnyName_IsOneSafeHeader(string name, string expected) => Assert.Equal(expected, Attachment.Disposition(name));

    [Fact]
    public async Task Download_OfBytesThatAreOthersOrGone_FailsAndNeverLooksWhole()
    {
        var (box, id) = await ArtifactAsync("0123456789");
        var onDisk = await ObjectOfAsync(box, id);
        await File.WriteAllTextAsync(onDisk, "0123456780");
        await box.DownloadAsync(id).ErrorAsync(502, "download_export_failed");
        await File.WriteAllTextAsync(onDisk, "short");
        await box.DownloadAsync(id).ErrorAsync(502, "download_export_failed");
        await box.DownloadAsync(id, "bytes=0-1").ErrorAsync(502, "download_export_failed");
        File.Delete(onDisk);
        await box.DownloadAsync(id).ErrorAsync(502, "download_export_failed");

        var (large, largeId) = await ArtifactAsync(new string('x', 200_000));
        await File.WriteAllTextAsync(await ObjectOfAsync(large, largeId), new string('x', 199_999) + "y");
        using var response = await large.DownloadAsync(largeId);
        if (response.IsSuccessStatusCode)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        }
    }

    [Fact]
    public async Task Download_OfAnArtifactDeletedOnTheWay_IsNotFound()
    {
        var (box, id) = await ArtifactAsync("0123456789");
        var services = fixture.Api.Services;
        var download = ActivatorUtilities.CreateInstance<ArtifactDownload>(services, new VanishingStore(
            () => box.Http.DeleteAsync(new Uri($"/v1/artifacts/{id}", UriKind.Relative))));
        var caller = new Caller("key_test", box.Tenant.OrgId, null, "builder", [], null);
        var refused = await Assert.ThrowsAsync<ApiException>(
            () => download.SendAsync(id, caller, new DefaultHttpContext { RequestServices = services }));
        Assert.Equal(("not_found", 404), (refused.Code, refused.Status));
    }

    [Fact]
    public async Task Link_WithoutLifetime_IsTheCredentialsAndWithOneTheOrganizations()
    {
        var (box, id) = await ArtifactAsync("0123456789");
        using var other = await box.Tenant.WithKeyAsync();
        var ofKey = await other.PostAsync(new Uri($"/v1/artifacts/{id}/download-url", UriKind.Relative), null).JsonAsync();
        Assert.Equal(("GET", "api_key", 900L), (ofKey.Text("method"), ofKey.Text("authMode"), ofKey.Number("expiresInSeconds")));
        Assert.Equal("nosniff", ofKey.GetProperty("headers").Text("x-content-type-options"));
        var ofOrganization = await other.PostAsJsonAsync($"/v1/artifacts/{id}/download-url", new { expiresInSeconds = 3600 }).JsonAsync();
        Assert.Equal(("none", 3600L), (ofOrganization.Text("authMode"), ofOrganization.Number("expiresInSeconds")));
        Assert.InRange(ofOrganization.Time("expiresAt"), DateTimeOffset.UtcNow.AddSeconds(3590), DateTimeOffset.UtcNow.AddSeconds(3601));

        using var outside = fixture.Api.Client(bearer: null);
        Assert.Equal("0123456789", await outside.GetStringAsync(ofKey.Text("url")));
        Assert.Equal("0123456789", await outside.GetStringAsync(ofOrganization.Text("url")));
        await fixture.Database.ExecuteAsync($"UPDATE api_keys SET revoked_at = now() WHERE org_id = '{box.Tenant.OrgId}'");
        await Eventually.HoldsAsync(
            async () => (int)(await outside.GetAsync(ofKey.Text("url"))).StatusCode == 403, "the key's link is dead", TimeSpan.FromSeconds(2));
        Assert.Equal("0123456789", await outside.GetStringAsync(ofOrganization.Text("url")));

        await fixture.Database.ExecuteAsync($"UPDATE organizations SET suspended_at = now() WHERE id = '{box.Tenant.OrgId}'");
        await outside.GetAsync(ofOrganization.Text("url")).ErrorAsync(403, "org_suspended");
    }

    [Fact]
    public async Task Link_OfAnArtifactThatIsDeletedOrExpires_Dies()
    {
        var (box, id) = await ArtifactAsync("0123456789");
        using var outside = fixture.Api.Client(bearer: null);
        var brief = await box.Http.PostAsJsonAsync($"/v1/artifacts/{id}/download-url", new { expiresInSeconds = 1 }).JsonAsync();
        await Eventually.HoldsAsync(async () => (int)(await outside.GetAsync(brief.Text("url"))).StatusCode == 403, "the link has expired", TimeSpan.FromSeconds(5));

        var link = await box.Http.PostAsJsonAsync($"/v1/artifacts/{id}/download-url", new { expiresInSeconds = 3600 }).JsonAsync();
        Assert.Equal("0123456789", await outside.GetStringAsync(link.Text("url")));
        await outside.GetAsync(link.Text("url")!.Replace("org=", "org=x", StringComparison.Ordinal)).ErrorAsync(403, "forbidden");
        await outside.GetAsync(link.Text("url")!.Replace("/download?", "?", StringComparison.Ordinal)).ErrorAsync(401, "unauthorized");
        await fixture.Database.ExecuteAsync($"UPDATE artifacts SET retention_expires_at = now() + interval '100 seconds' WHERE id = '{id}'");
        var bounded = await box.Http.PostAsJsonAsync($"/v1/artifacts/{id}/download-url", new { expiresInSeconds = 3600 }).JsonAsync();
        Assert.InRange(bounded.Number("expiresInSeconds"), 80, 100);
        await box.Http.DeleteAsync(new Uri($"/v1/artifacts/{id}", UriKind.Relative));
        await outside.GetAsync(link.Text("url")).ErrorAsync(404, "not_found");
    }

    /// <summary>Something happens between the look at the row and the look for the object, which is gone then.</summary>
    private sealed class VanishingStore(Func<Task> meanwhile) : IObjectStore
    {
        public async Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken)
        {
            await meanwhile();
            return null;
        }

        public Task<ObjectDigest> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task DeleteAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<ObjectPage> ListAsync(
            string prefix, string? after, DateTimeOffset? olderThan, int limit, CancellationToken cancellationToken) =>
            throw new NotSupportedException();
    }

    private async Task<(FileBox Box, string Id)> ArtifactAsync(string content)
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", content);
        return (box, (await box.ArtifactAsync("f")).Text("id")!);
    }

    private async Task<string> ObjectOfAsync(FileBox box, string id) =>
        fixture.Worker.Artifacts.ObjectPath((await box.Tenant.GetAsync($"/v1/artifacts/{id}", "artifact")).Text("objectKey")!);
}
