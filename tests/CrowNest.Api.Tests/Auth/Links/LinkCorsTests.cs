using System.Net;
using CrowNest.Api.Http;
using CrowNest.Api.Tests.Files;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Links;

/// <summary>What a browser is told about pages of other origins.</summary>
public sealed class LinkCorsTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private const string Page = "https://page.example";

    [Fact]
    public void Routes_ThatTakeSignedLinksAndNoOthers_HaveCors()
    {
        var endpoints = fixture.Api.Services.GetServices<EndpointDataSource>().SelectMany(s => s.Endpoints).ToList();
        Assert.Equal(4, endpoints.Count(e => e.Metadata.GetMetadata<SignedUrlAllowed>() is not null));
        Assert.All(endpoints, e => Assert.Equal(
            e.Metadata.GetMetadata<SignedUrlAllowed>() is not null, e.Metadata.GetMetadata<ICorsMetadata>() is not null));
    }

    [Theory]
    [InlineData("/v1/sandboxes/sbx_1/files/upload", "PUT", "content-type")]
    [InlineData("/v1/sandboxes/sbx_1/files/download", "GET", "range")]
    [InlineData("/v1/artifacts/art_1/download", "GET", "if-range,range")]
    [InlineData("/v1/commands/cmd_1/logs/download", "GET", "x-request-id")]
    public async Task Preflight_OfARouteForLinks_AllowsWhatItTakesWithoutASignature(string path, string method, string headers)
    {
        using var answer = await PreflightAsync(path, method, headers);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal("*", Header(answer, "Access-Control-Allow-Origin"));
        Assert.Equal(method, Header(answer, "Access-Control-Allow-Methods"));
        var allowed = Header(answer, "Access-Control-Allow-Headers")!.Split(',');
        Assert.All(headers.Split(','), h => Assert.Contains(h, allowed, StringComparer.OrdinalIgnoreCase));
        Assert.DoesNotContain("Authorization", allowed, StringComparer.OrdinalIgnoreCase);
        Assert.DoesNotContain(allowed, h => h.StartsWith("x-crownest-", StringComparison.OrdinalIgnoreCase));
        Assert.Equal("7200", Header(answer, "Access-Control-Max-Age"));
        Assert.Null(Header(answer, "Access-Control-Allow-Credentials"));
    }

    [Theory]
    [InlineData("/v1/api-keys", "POST")]
    [InlineData("/v1/api-keys", "GET")]
    [InlineData("/v1/sandboxes", "POST")]
    [InlineData("/v1/sandboxes/sbx_1/files", "PUT")]
    [InlineData("/v1/sandboxes/sbx_1/files/upload-url", "POST")]
    [InlineData("/v1/sandboxes/sbx_1/files/download", "DELETE")]
    [InlineData("/internal/sign-in-links", "POST")]
    [InlineData("/nothing", "GET")]
    public async Task Preflight_OfAnythingElse_AllowsNothing(string path, string method)
    {
        using var answer = await PreflightAsync(path, method, "x-crownest-org-id");
        Assert.DoesNotContain(answer.Headers, IsCors);
        Assert.InRange((int)answer.StatusCode, 400, 499);
    }

    [Theory]
    [InlineData("/v1/api-keys")]
    [InlineData("/v1/sandboxes")]
    [InlineData("/healthz")]
    [InlineData("/openapi.json")]
    public async Task Answer_OfAnythingElse_CanNotBeReadByAPage(string path)
    {
        using var answer = await FromPageAsync(HttpMethod.Get, path);
        Assert.DoesNotContain(answer.Headers, IsCors);
    }

    [Fact]
    public async Task UploadAndDownload_FromAPageByLink_AreAnsweredForIt()
    {
        var box = await FileBox.CreateAsync(fixture);
        var upload = (await box.PostAsync("/upload-url", new { path = "f" }).JsonAsync()).Text("url")!;
        using var uploaded = await FromPageAsync(HttpMethod.Put, upload, new StringContent("abc"));
        Assert.Equal((HttpStatusCode.OK, "*"), (uploaded.StatusCode, Header(uploaded, "Access-Control-Allow-Origin")));
        var link = (await box.PostAsync("/download-url", new { path = "f" }).JsonAsync()).Text("url")!;
        using var downloaded = await FromPageAsync(HttpMethod.Get, link);
        Assert.Equal("abc", await downloaded.Content.ReadAsStringAsync());
        AssertReadable(downloaded);
    }

    [Fact]
    public async Task Refusal_FromAPageByLink_CanBeReadByIt()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "abc");
        var link = (await box.PostAsync("/download-url", new { path = "f" }).JsonAsync()).Text("url")!;
        await box.DeleteAsync("?path=f");
        await AssertRefusedAsync(link, HttpStatusCode.NotFound);
        await AssertRefusedAsync(link.Replace("expires=", "expires=9", StringComparison.Ordinal), HttpStatusCode.Forbidden);
        await AssertRefusedAsync(new Uri(link).AbsolutePath, HttpStatusCode.Unauthorized);
        await AssertRefusedAsync($"{link}&more={new string('x', 40_000)}", null);
    }

    private async Task AssertRefusedAsync(string url, HttpStatusCode? status)
    {
        using var answer = await FromPageAsync(HttpMethod.Get, url);
        Assert.InRange((int)answer.StatusCode, 400, 499);
        Assert.Equal(status ?? answer.StatusCode, answer.StatusCode);
        Assert.NotNull((await answer.JsonAsync()).GetProperty("error").Text("code"));
        AssertReadable(answer);
    }

    private static void AssertReadable(HttpResponseMessage answer)
    {
        Assert.Equal("*", Header(answer, "Access-Control-Allow-Origin"));
        Assert.Null(Header(answer, "Access-Control-Allow-Credentials"));
        var exposed = Header(answer, "Access-Control-Expose-Headers")!.Split(',');
        Assert.All(
            ["Content-Disposition", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Retry-After", "X-Request-Id"],
            h => Assert.Contains(h, exposed, StringComparer.OrdinalIgnoreCase));
    }

    private Task<HttpResponseMessage> PreflightAsync(string path, string method, string headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Options, path);
        request.Headers.Add("Origin", Page);
        request.Headers.Add("Access-Control-Request-Method", method);
        request.Headers.Add("Access-Control-Request-Headers", headers);
        return fixture.Api.Client(bearer: null).SendAsync(request);
    }

    private Task<HttpResponseMessage> FromPageAsync(HttpMethod method, string url, HttpContent? content = null)
    {
        var request = new HttpRequestMessage(method, url) { Content = content };
        request.Headers.Add("Origin", Page);
        return fixture.Api.Client(bearer: null).SendAsync(request);
    }

    private static bool IsCors(KeyValuePair<string, IEnumerable<string>> header) =>
        header.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase);

    private static string? Header(HttpResponseMessage answer, string name) =>
        answer.Headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;
}
