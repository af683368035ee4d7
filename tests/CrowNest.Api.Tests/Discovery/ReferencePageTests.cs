using System.Net;
using System.Text.RegularExpressions;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Discovery;

/// <summary>The page of <c>/openapi.json</c> (docs/reference/api.md 15), below a path as behind a proxy.</summary>
public sealed partial class ReferencePageTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private const string Page = "/crownest/reference/";

    private ApiInstance _api = null!;
    private HttpClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _api = new ApiInstance(
            await TestDatabase.CreateAsync(postgres), redis.ConnectionString, ("Api:PublicBaseUrl", "https://example.com/crownest"));
        _client = _api.Client(bearer: null);
    }

    public async ValueTask DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Page_WithoutCredential_ShowsOurDocument()
    {
        using var response = await _client.GetAsync(Page);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/html", response.Content.Headers.ContentType!.MediaType);
        var html = await response.Content.ReadAsStringAsync();
        Assert.Contains("<title>CrowNest API</title>", html, StringComparison.Ordinal);
        Assert.Contains("\"url\":\"openapi.json\"", html, StringComparison.Ordinal);
        using var document = await _client.GetAsync("/crownest/openapi.json");
        Assert.Equal(HttpStatusCode.OK, document.StatusCode);
    }

    [Fact]
    public async Task Page_EverythingItLoads_ComesFromThisServer()
    {
        var html = await _client.GetStringAsync(Page);
        var sources = Source().Matches(html).Select(m => m.Groups["url"].Value).ToList();
        Assert.NotEmpty(sources);
        foreach (var source in sources)
        {
            var url = new Uri(new Uri(_client.BaseAddress!, Page), source);
            Assert.Equal(_client.BaseAddress!.Authority, url.Authority);
            using var response = await _client.GetAsync(url);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Contains("javascript", response.Content.Headers.ContentType!.MediaType, StringComparison.Ordinal);
        }

        // Not even in its settings is there another host that the script could be told to ask.
        Assert.DoesNotContain("://", html, StringComparison.Ordinal);
        Assert.Contains("\"telemetry\":false", html, StringComparison.Ordinal);
        Assert.Contains("\"withDefaultFonts\":false", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_ContentSecurityPolicy_AllowsItsOwnScriptsAndThisOriginOnly()
    {
        var (policy, html) = await GetPolicyAsync();
        var nonce = Nonce().Match(policy).Groups["nonce"].Value;
        Assert.NotEmpty(nonce);
        Assert.All(Script().Matches(html), m => Assert.Contains($"nonce=\"{nonce}\"", m.Value, StringComparison.Ordinal));
        var directives = policy.Split("; ").Select(d => d.Split(' ', 2)).ToDictionary(d => d[0], d => d[1]);
        Assert.Equal("'none'", directives["default-src"]);
        Assert.Equal("'self'", directives["connect-src"]);
        Assert.Equal("'none'", directives["frame-ancestors"]);
        Assert.DoesNotContain("unsafe", directives["script-src"], StringComparison.Ordinal);
        Assert.DoesNotContain("http", policy, StringComparison.Ordinal);
        Assert.DoesNotContain('*', policy);

        var (again, _) = await GetPolicyAsync();
        Assert.NotEqual(policy, again);
    }

    private async Task<(string Policy, string Html)> GetPolicyAsync()
    {
        using var response = await _client.GetAsync(Page);
        return (Assert.Single(response.Headers.GetValues("Content-Security-Policy")), await response.Content.ReadAsStringAsync());
    }

    [GeneratedRegex("""<(?:script|link|img)[^>]+(?:src|href)="(?<url>[^"]+)""")]
    private static partial Regex Source();

    [GeneratedRegex("<script[^>]*>")]
    private static partial Regex Script();

    [GeneratedRegex("'nonce-(?<nonce>[^']+)'")]
    private static partial Regex Nonce();
}
