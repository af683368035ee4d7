using System.Net;
using System.Net.Http.Json;
using CrowNest.Api.Auth;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Links;

public sealed class SignedUrlTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private readonly ShiftedTime _time = new();
    private TestDatabase _database = null!;
    private TestApi _api = null!;
    private TestApi _other = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync(postgres);
        _api = await TestApi.StartAsync(_database, redis.ConnectionString, Map, _time);
        _other = await TestApi.StartAsync(_database, redis.ConnectionString, Map, _time);

        static void Map(RouteGroupBuilder v1)
        {
            v1.MapPost("/files/{id}/link", async (string id, long seconds, bool open, string? option, Caller caller, SignedUrls urls) =>
            {
                var target = new LinkTarget("GET", $"/v1/files/{id}", ("path", string.IsNullOrEmpty(option) ? null : option), ("absent", null));
                var link = open
                    ? await urls.OpenLinkAsync(caller, target, TimeSpan.FromSeconds(seconds), default)
                    : await urls.LinkAsync(caller, target, TimeSpan.FromSeconds(seconds), default);
                return new { url = link.Url };
            }).AnyScope();
            v1.MapGet("/files/{id}", Show).RequireScope(Scopes.CommandRead).AlsoRequireScope(Scopes.FileRead).AllowSignedUrl();
            v1.MapPut("/files/{id}", Show).RequireScope(Scopes.CommandRead).AllowSignedUrl();
            v1.MapGet("/closed/{id}", (string id) => new { id }).AnyScope();
        }

        static object Show(string id, string? path, Caller caller) => new { id, path = path ?? "", caller.CredentialId, caller.Scopes };
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _other.DisposeAsync();
    }

    [Fact]
    public async Task Link_WithoutCredential_ActsAsItsMaker()
    {
        var shown = await _api.Client(bearer: null).GetAsync(await LinkAsync("a", 60)).JsonAsync();
        Assert.Equal("a", shown.Text("id"));
        Assert.StartsWith("key_", shown.Text("credentialId"), StringComparison.Ordinal);
        Assert.Equal(27, shown.GetProperty("scopes").GetArrayLength());
    }

    [Fact]
    public async Task OpenLink_WithoutCredential_CanDoTheOneThingAlone()
    {
        var shown = await _api.Client(bearer: null).GetAsync(await LinkAsync("a", 60, open: true)).JsonAsync();
        Assert.StartsWith("link_org_", shown.Text("credentialId"), StringComparison.Ordinal);
        Assert.Equal([Scopes.CommandRead, Scopes.FileRead], shown.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
    }

    [Theory]
    [InlineData("/v1/files/a?", "/v1/files/b?")]
    [InlineData("expires=", "expires=9")]
    [InlineData("expires=", "x=")]
    [InlineData("signature=", "signature=A")]
    [InlineData("credential=key_", "credential=key_x")]
    [InlineData("credential=", "org=")]
    [InlineData("kid=usk_", "kid=usk_0")]
    [InlineData("kid=", "x=")]
    [InlineData("path=x%2By%20z", "path=y")]
    [InlineData("path=x%2By%20z&", "")]
    [InlineData("?", "?more=1&")]
    [InlineData("?", "?path=x%2By%20z&")]
    public async Task Link_Tampered_IsForbidden(string part, string changed)
    {
        var url = await LinkAsync("a", 60, option: "x+y z");
        Assert.Equal("x+y z", (await _api.Client(bearer: null).GetAsync(url).JsonAsync()).Text("path"));
        Assert.Contains(part, url, StringComparison.Ordinal);
        var tampered = url.Replace(part, changed, StringComparison.Ordinal);
        await _api.Client(bearer: null).GetAsync(tampered).ErrorAsync(403, ErrorCodes.Forbidden);
        using var withBearer = await _api.Client().GetAsync(tampered);
        Assert.Equal(HttpStatusCode.OK, withBearer.StatusCode);
    }

    [Fact]
    public async Task Link_ForAnotherMethodOrRoute_IsRefused()
    {
        var url = await LinkAsync("a", 60);
        await _api.Client(bearer: null).PutAsync(url, null).ErrorAsync(403, ErrorCodes.Forbidden);
        await _api.Client(bearer: null).GetAsync(url.Replace("/v1/files/", "/v1/closed/", StringComparison.Ordinal)).ErrorAsync(401, ErrorCodes.Unauthorized);
        await _api.Client(bearer: null).GetAsync("/v1/files/a").ErrorAsync(401, ErrorCodes.Unauthorized);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Link_AfterItsTime_IsForbidden(bool open)
    {
        var url = await LinkAsync("a", 60, open);
        _time.Advance(TimeSpan.FromSeconds(58));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_api, url));
        _time.Advance(TimeSpan.FromSeconds(2));
        await _api.Client(bearer: null).GetAsync(url).ErrorAsync(403, ErrorCodes.Forbidden);
    }

    [Fact]
    public async Task Link_OfRevokedKey_DiesWithItUnlessItIsTheOrganizations()
    {
        var url = await LinkAsync("a", 60);
        var open = await LinkAsync("a", 60, open: true);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_api, url));
        await _database.ExecuteAsync("UPDATE api_keys SET revoked_at = now()");
        await Eventually.HoldsAsync(async () => await StatusAsync(_api, url) == HttpStatusCode.Forbidden, "the link is dead", TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_api, open));
        await _database.ExecuteAsync("UPDATE organizations SET suspended_at = now()");
        await _api.Client(bearer: null).GetAsync(open).ErrorAsync(403, ErrorCodes.OrgSuspended);
    }

    [Fact]
    public async Task Rotation_OnAnyInstance_LeavesUnexpiredLinksAliveEverywhere()
    {
        var before = await LinkAsync("a", 3600);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_other, before));
        var rotated = await RotateAsync(new { });
        var after = await LinkAsync("a", 3600);
        Assert.Contains($"kid={rotated.Text("keyId")}", after, StringComparison.Ordinal);
        Assert.DoesNotContain($"kid={rotated.Text("keyId")}", before, StringComparison.Ordinal);
        // At once, although the other instance has not looked at the keys since.
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_other, after));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_other, before));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_api, before));
    }

    [Fact]
    public async Task Rotation_OfAKeyWhoseLongestLinkIsOver_RefusesIt()
    {
        var url = await LinkAsync("a", Limits.MaxLinkSeconds);
        await RotateAsync(new { });
        _time.Advance(TimeSpan.FromSeconds(Limits.MaxLinkSeconds - 5));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_api, url));
        _time.Advance(TimeSpan.FromMinutes(2));
        await _api.Client(bearer: null).GetAsync(url).ErrorAsync(403, ErrorCodes.Forbidden);
        Assert.Equal(1, await _database.ExecuteAsync("DELETE FROM url_signing_keys WHERE retired_at IS NOT NULL"));
    }

    [Fact]
    public async Task Revocation_KillsEveryLinkOnEveryInstanceWithinSeconds()
    {
        var old = await LinkAsync("a", 3600);
        await RotateAsync(new { });
        var url = await LinkAsync("a", 3600);
        var open = await LinkAsync("a", 3600, open: true);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_other, url));
        Assert.True((await RotateAsync(new { revoke = true })).GetProperty("revoked").GetBoolean());
        foreach (var dead in new[] { old, url, open })
        {
            await _api.Client(bearer: null).GetAsync(dead).ErrorAsync(403, ErrorCodes.Forbidden);
            await Eventually.HoldsAsync(async () => await StatusAsync(_other, dead) == HttpStatusCode.Forbidden, "dead everywhere", TimeSpan.FromSeconds(3));
        }

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(_other, await LinkAsync("a", 60)));
    }

    [Fact]
    public async Task Rotation_BySeveralInstancesAtOnce_LeavesOneKeyThatSigns()
    {
        var keys = new[] { _api, _other }.Select(a => a.Services.GetRequiredService<SigningKeys>()).ToList();
        var first = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => keys[i % 2].CurrentAsync(default).AsTask()));
        Assert.Single(first.Select(k => k.Id).Distinct());
        // Each wants the same key retired: one does it.
        var second = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => keys[i % 2].RotateAsync(first[0].CreatedAt, revoke: false, default)));
        Assert.NotEqual(first[0].Id, Assert.Single(second.Select(k => k.Id).Distinct()));
        Assert.Equal(1, await _database.ExecuteAsync("UPDATE url_signing_keys SET id = id WHERE retired_at IS NULL"));
        Assert.Equal(2, await _database.ExecuteAsync("UPDATE url_signing_keys SET id = id"));
    }

    [Fact]
    public async Task Rotation_OnSchedule_RetiresAnOldKey()
    {
        await using var api = await TestApi.StartAsync(_database, redis.ConnectionString, _ => { }, ("Api:SignedUrls:RotateAfter", "00:00:01"));
        var keys = api.Services.GetRequiredService<SigningKeys>();
        var first = await keys.CurrentAsync(default);
        await Eventually.HoldsAsync(async () => (await keys.CurrentAsync(default)).Id != first.Id, "another key signs");
        Assert.NotNull(await keys.FindAsync(first.Id, default));
    }

    [Fact]
    public async Task Rotation_WithoutTheDeploymentsSecret_IsRefused()
    {
        await _api.Client(bearer: null).PostAsJsonAsync("/internal/signing-keys/rotate", new { }).ErrorAsync(401, ErrorCodes.Unauthorized);
        await _api.Client().PostAsJsonAsync("/internal/signing-keys/rotate", new { }).ErrorAsync(401, ErrorCodes.InvalidApiKey);
        var forwarded = new HttpRequestMessage(HttpMethod.Post, "/internal/signing-keys/rotate");
        forwarded.Headers.Add("X-Forwarded-For", "127.0.0.1");
        await _api.Client(ApiInstance.DeploymentSecret).SendAsync(forwarded).ErrorAsync(404, ErrorCodes.NotFound);
    }

    private async Task<System.Text.Json.JsonElement> RotateAsync(object body)
    {
        var rotated = await _api.Client(ApiInstance.DeploymentSecret).PostAsJsonAsync("/internal/signing-keys/rotate", body).JsonAsync();
        Assert.True(Ids.IsValid(rotated.Text("keyId"), Ids.UrlSigningKey));
        return rotated;
    }

    /// <summary>The status of a link at an instance, whichever made it.</summary>
    private static async Task<HttpStatusCode> StatusAsync(TestApi api, string url)
    {
        using var response = await api.Client(bearer: null).GetAsync(new Uri(url).PathAndQuery);
        return response.StatusCode;
    }

    private async Task<string> LinkAsync(string id, long seconds, bool open = false, string? option = null) =>
        (await _api.Client().PostAsync($"/v1/files/{id}/link?seconds={seconds}&open={open}&option={Uri.EscapeDataString(option ?? "")}", null).JsonAsync())
            .Text("url")!;
}
