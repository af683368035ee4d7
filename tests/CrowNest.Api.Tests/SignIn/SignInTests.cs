using System.Net;
using System.Net.Http.Json;
using System.Text.RegularExpressions;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.SignIn;

public sealed class SignInTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private ApiInstance _api = null!;
    private HttpClient _internal = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync(postgres);
        _api = new ApiInstance(_database, redis.ConnectionString, ("Api:DashboardUrl", "http://127.0.0.1:9/dash/"));
        _internal = _api.Client(ApiInstance.DeploymentSecret);
    }

    public async ValueTask DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Link_Redeemed_IsASessionWithAllScopesUntilSignOut()
    {
        var link = await _internal.PostAsync("/internal/sign-in-links", null).JsonAsync();
        var url = link.GetProperty("url").GetString()!;
        Assert.Matches("^http://127.0.0.1:9/dash/sign-in\\?token=[A-Za-z0-9_]{40,}$", url);
        Assert.InRange(link.GetProperty("expiresAt").GetDateTimeOffset() - DateTimeOffset.UtcNow, TimeSpan.FromMinutes(9), TimeSpan.FromMinutes(10));
        var token = Regex.Match(url, "token=(.*)$").Groups[1].Value;

        var session = await RedeemAsync(token).JsonAsync();
        var bearer = session.GetProperty("token").GetString()!;
        Assert.StartsWith("cn_session_", bearer, StringComparison.Ordinal);
        Assert.InRange(session.GetProperty("expiresAt").GetDateTimeOffset() - DateTimeOffset.UtcNow, TimeSpan.FromHours(11), TimeSpan.FromHours(12));
        Assert.Equal("owner", session.GetProperty("user").GetProperty("role").GetString());
        using var user = _api.Client(bearer);
        Assert.Equal(HttpStatusCode.OK, (await user.GetAsync("/v1/projects")).StatusCode);

        await RedeemAsync(token).ErrorAsync(404, ErrorCodes.NotFound);
        Assert.True((await user.DeleteAsync("/internal/sessions/current").JsonAsync()).GetProperty("ended").GetBoolean());
        await user.DeleteAsync("/internal/sessions/current").ErrorAsync(401, ErrorCodes.InvalidApiKey);
        await Eventually.HoldsAsync(async () => (await user.GetAsync("/v1/projects")).StatusCode == HttpStatusCode.Unauthorized,
            "the session is over", TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Link_RedeemedTwentyTimesAtOnce_OpensOneSession()
    {
        var url = (await _internal.PostAsync("/internal/sign-in-links", null).JsonAsync()).GetProperty("url").GetString()!;
        var token = url[(url.IndexOf('=', StringComparison.Ordinal) + 1)..];
        var responses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => RedeemAsync(token)));
        Assert.Single(responses, r => r.StatusCode == HttpStatusCode.OK);
        await using var database = _database.Open();
        Assert.Equal(1, database.Sessions.Count());
    }

    [Fact]
    public async Task Link_Expired_IsNotFound()
    {
        var url = (await _internal.PostAsync("/internal/sign-in-links", null).JsonAsync()).GetProperty("url").GetString()!;
        await _database.ExecuteAsync("UPDATE sign_in_links SET expires_at = now() - interval '1 second'");
        await RedeemAsync(url[(url.IndexOf('=', StringComparison.Ordinal) + 1)..]).ErrorAsync(404, ErrorCodes.NotFound);
        await RedeemAsync("nonsense").ErrorAsync(404, ErrorCodes.NotFound);
        await _internal.PostAsJsonAsync("/internal/sign-ins", new { }).ErrorAsync(400, ErrorCodes.InvalidRequest);
    }

    [Fact]
    public async Task LauncherSession_Expires()
    {
        var session = await _internal.PostAsync("/internal/sessions", null).JsonAsync();
        Assert.InRange(session.GetProperty("expiresAt").GetDateTimeOffset() - DateTimeOffset.UtcNow, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
        using var launcher = _api.Client(session.GetProperty("token").GetString());
        Assert.Equal(HttpStatusCode.OK, (await launcher.GetAsync("/v1/projects")).StatusCode);
        await _database.ExecuteAsync("UPDATE sessions SET expires_at = now()");
        await Eventually.HoldsAsync(async () => (await launcher.GetAsync("/v1/projects")).StatusCode == HttpStatusCode.Unauthorized,
            "the session has expired", TimeSpan.FromSeconds(1));
    }

    [Theory]
    [InlineData("/internal/sign-in-links")]
    [InlineData("/internal/sign-ins")]
    [InlineData("/internal/sessions")]
    public async Task InternalRoute_WithoutTheSecret_Is401(string route)
    {
        await _api.Client(bearer: null).PostAsync(route, null).ErrorAsync(401, ErrorCodes.Unauthorized);
        await _api.Client(TestDatabase.Key).PostAsync(route, null).ErrorAsync(401, ErrorCodes.InvalidApiKey);
        await _api.Client(ApiInstance.DeploymentSecret).GetAsync(route).ErrorAsync(405, ErrorCodes.InvalidRequest);
        await _api.Client(ApiInstance.DeploymentSecret).GetAsync("/v1/projects").ErrorAsync(401, ErrorCodes.InvalidApiKey);
    }

    [Theory]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("x-forwarded-host", "example.com")]
    [InlineData("X-Original-For", "10.0.0.1")]
    [InlineData("Forwarded", "for=127.0.0.1")]
    [InlineData("Via", "1.1 proxy")]
    public async Task InternalRoute_ThroughAProxy_DoesNotExist(string header, string value)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/internal/sessions");
        request.Headers.TryAddWithoutValidation(header, value);
        await _internal.SendAsync(request).ErrorAsync(404, ErrorCodes.NotFound);
    }

    private Task<HttpResponseMessage> RedeemAsync(string token) => _internal.PostAsJsonAsync("/internal/sign-ins", new { token });
}
