using System.Net;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Links;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Xunit;

namespace CrowNest.Api.Tests.Links;

[Collection(Backends.Name)]
public sealed class SignedUrlTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private TestApi _api = null!;

    public async Task InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync(postgres);
        _api = await TestApi.StartAsync(_database, redis.ConnectionString, v1 =>
        {
            v1.MapPost("/files/{id}/link", async (string id, int seconds, Caller caller, SignedUrls urls) =>
                new { url = (await urls.LinkAsync(caller, new LinkTarget("GET", $"/v1/files/{id}"), TimeSpan.FromSeconds(seconds), default)).Url }).AnyScope();
            v1.MapGet("/files/{id}", (string id, Caller caller) => new { id, caller.CredentialId }).RequireScope(Scopes.CommandRead).AllowSignedUrl();
            v1.MapGet("/closed/{id}", (string id) => new { id }).AnyScope();
        });
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Link_WithoutCredential_ActsAsItsMaker()
    {
        var url = await LinkAsync("a", 60);
        using var response = await _api.Client(bearer: null).GetAsync(url);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("a", (await response.JsonAsync()).GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("/v1/files/a?", "/v1/files/b?")]
    [InlineData("expires=", "expires=9")]
    [InlineData("expires=", "x=")]
    [InlineData("signature=", "signature=A")]
    [InlineData("credential=key_", "credential=key_x")]
    public async Task Link_Tampered_IsForbidden(string part, string changed)
    {
        var url = (await LinkAsync("a", 60)).Replace(part, changed, StringComparison.Ordinal);
        await _api.Client(bearer: null).GetAsync(url).ErrorAsync(403, ErrorCodes.Forbidden);
        using var withBearer = await _api.Client().GetAsync(url);
        Assert.Equal(HttpStatusCode.OK, withBearer.StatusCode);
    }

    [Fact]
    public async Task Link_ExpiredOrElsewhere_IsRefused()
    {
        await _api.Client(bearer: null).GetAsync(await LinkAsync("a", 0)).ErrorAsync(403, ErrorCodes.Forbidden);
        var elsewhere = (await LinkAsync("a", 60)).Replace("/v1/files/", "/v1/closed/", StringComparison.Ordinal);
        await _api.Client(bearer: null).GetAsync(elsewhere).ErrorAsync(401, ErrorCodes.Unauthorized);
        await _api.Client(bearer: null).GetAsync("/v1/files/a").ErrorAsync(401, ErrorCodes.Unauthorized);
    }

    [Fact]
    public async Task Link_OfRevokedKey_DiesWithIt()
    {
        var url = await LinkAsync("a", 60);
        using var client = _api.Client(bearer: null);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(url)).StatusCode);
        await _database.ExecuteAsync("UPDATE api_keys SET revoked_at = now()");
        await Eventually.HoldsAsync(
            async () => (await client.GetAsync(url)).StatusCode == HttpStatusCode.Forbidden, "the link is dead", TimeSpan.FromSeconds(1));
    }

    private async Task<string> LinkAsync(string id, int seconds) =>
        (await _api.Client().PostAsync($"/v1/files/{id}/link?seconds={seconds}", null).JsonAsync()).GetProperty("url").GetString()!;
}
