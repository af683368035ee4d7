using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Auth;

public sealed class AuthenticationTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private ApiInstance _api = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync(postgres);
        _api = new ApiInstance(_database, redis.ConnectionString);
    }

    public async ValueTask DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task AnyRoute_WithoutCredential_IsUnauthorizedAndSaysWhere()
    {
        using var response = await _api.Client(bearer: null).GetAsync("/v1/projects");
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("unauthorized", (await response.JsonAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Matches("^resource_metadata=\"http://127.0.0.1:\\d+/.well-known/oauth-protected-resource\"$",
            response.Headers.WwwAuthenticate.Single().Parameter);
    }

    [Theory]
    [InlineData("Basic dXNlcjpwYXNz", "unauthorized")]
    [InlineData("Bearer", "unauthorized")]
    [InlineData("Bearer cn_live_unknownunknownunknownunknown", "invalid_api_key")]
    [InlineData("Bearer cnk_x y z", "invalid_api_key")]
    [InlineData("Bearer \u00e9\u00e9\u00e9", "invalid_api_key")]
    public async Task AnyRoute_WithBadCredential_Is401(string header, string code)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/projects");
        request.Headers.TryAddWithoutValidation("Authorization", header.Replace("\u00e9", "%C3%A9", StringComparison.Ordinal));
        await _api.Client(bearer: null).SendAsync(request).ErrorAsync(401, code);
    }

    [Fact]
    public async Task AnyRoute_WithVeryLongKey_IsInvalidApiKey() =>
        await _api.Client(new string('k', 5000)).GetAsync("/v1/projects").ErrorAsync(401, ErrorCodes.InvalidApiKey);

    [Fact]
    public async Task AnyRoute_WithKeyInEitherHeader_IsAnswered()
    {
        using var alias = _api.Client(bearer: null);
        alias.DefaultRequestHeaders.Add("x-api-key", TestDatabase.Key);
        using var lower = _api.Client(bearer: null);
        lower.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("bearer", TestDatabase.Key);
        Assert.Equal(HttpStatusCode.OK, (await alias.GetAsync("/v1/projects")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await lower.GetAsync("/v1/projects")).StatusCode);
    }

    [Fact]
    public async Task RevokedKey_OnTwoInstances_IsRefusedWithinASecond()
    {
        await using var second = new ApiInstance(_database, redis.ConnectionString);
        using var first = _api.Client();
        using var other = second.Client();
        // Both instances have just seen the key, so that both have it cached.
        await Task.WhenAll(first.GetAsync("/v1/projects"), other.GetAsync("/v1/projects"));
        var watch = Stopwatch.StartNew();
        Assert.Equal(1, await _database.ExecuteAsync("UPDATE api_keys SET revoked_at = now()"));
        await Eventually.HoldsAsync(
            async () => (await first.GetAsync("/v1/projects")).StatusCode == HttpStatusCode.Unauthorized
                && (await other.GetAsync("/v1/projects")).StatusCode == HttpStatusCode.Unauthorized,
            "both instances refuse the key", TimeSpan.FromSeconds(1));
        Assert.True(watch.ElapsedMilliseconds < 1000, $"{watch.ElapsedMilliseconds} ms");
        await first.GetAsync("/v1/projects").ErrorAsync(401, ErrorCodes.InvalidApiKey);
    }

    [Fact]
    public async Task SuspendedOrganization_WithValidKey_IsOrgSuspended()
    {
        await _database.ExecuteAsync("UPDATE organizations SET suspended_at = now()");
        await _api.Client().GetAsync("/v1/projects").ErrorAsync(403, ErrorCodes.OrgSuspended);
        await _api.Client("nonsense").GetAsync("/v1/projects").ErrorAsync(401, ErrorCodes.InvalidApiKey);
    }

    [Fact]
    public async Task HumanSessionHeaders_WithoutAuthorization_AreIgnored()
    {
        using var client = _api.Client(bearer: null);
        client.DefaultRequestHeaders.Add("x-crownest-org-id", "org_1");
        client.DefaultRequestHeaders.Add("x-crownest-user-id", "usr_1");
        client.DefaultRequestHeaders.Add("x-crownest-role", "owner");
        await client.GetAsync("/v1/projects").ErrorAsync(401, ErrorCodes.Unauthorized);
    }

    [Fact]
    public async Task UsedKey_AfterItsUse_HasLastUsedAt()
    {
        await _api.Client().GetAsync("/v1/projects");
        await using var database = _database.Open();
        Assert.NotNull(database.ApiKeys.Single().LastUsedAt);
    }
}
