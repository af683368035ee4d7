using System.Net;
using CrowNest.Api.Auth;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Http;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests;

public sealed class RouteTests(PostgresFixture postgres, RedisFixture redis)
{
    [Fact]
    public async Task Healthz_WithoutCredential_IsOkAlsoWithoutRedis()
    {
        await using var api = new ApiInstance(await TestDatabase.CreateAsync(postgres), $"127.0.0.1:{FreePort.Next()}");
        using var response = await api.Client(bearer: null).GetAsync("/healthz");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("ok", (await response.JsonAsync()).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Api_BelowAPath_ServesAndReturnsUrlsBelowIt()
    {
        await using var api = new ApiInstance(
            await TestDatabase.CreateAsync(postgres), redis.ConnectionString, ("Api:PublicBaseUrl", "https://example.com/crownest/"));
        using var client = api.Client();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/crownest/v1/projects")).StatusCode);
        // A proxy that takes the prefix off works as well.
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/projects")).StatusCode);
        await client.GetAsync("/crownest/nothing").ErrorAsync(404, "not_found");
        using var refused = await api.Client(bearer: null).GetAsync("/crownest/v1/projects");
        Assert.Contains("\"https://example.com/crownest/.well-known/", refused.Headers.WwwAuthenticate.Single().Parameter, StringComparison.Ordinal);
        var caller = new Caller("key_1", "org_1", null, "builder", [], null);
        var target = new LinkTarget("GET", "/v1/commands/cmd_1/logs/download");
        var link = await api.Services.GetRequiredService<SignedUrls>().LinkAsync(caller, target, TimeSpan.FromMinutes(1), default);
        Assert.StartsWith("https://example.com/crownest/v1/commands/cmd_1/logs/download?credential=key_1&expires=", link.Url, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EveryRouteOfV1_HasAScopeAndADescription()
    {
        await using var api = new ApiInstance(await TestDatabase.CreateAsync(postgres), redis.ConnectionString);
        var endpoints = api.Services.GetServices<Microsoft.AspNetCore.Routing.EndpointDataSource>().SelectMany(s => s.Endpoints)
            .Where(e => e.Metadata.GetMetadata<CallerRequired>() is not null).ToList();
        Assert.NotEmpty(endpoints);
        Assert.All(endpoints, e => Assert.NotNull(e.Metadata.GetMetadata<ScopeRequirement>()));
        Assert.All(endpoints, e => Assert.NotNull(e.Metadata.GetMetadata<Operation>()));
    }
}
