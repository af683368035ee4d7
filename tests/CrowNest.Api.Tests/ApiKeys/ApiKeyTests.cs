using System.Net.Http.Json;
using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.ApiKeys;

public sealed class ApiKeyTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private const string Keys = "/v1/api-keys";
    private TestDatabase _database = null!;
    private ApiInstance _api = null!;
    private User _owner = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync(postgres);
        _api = new ApiInstance(_database, redis.ConnectionString, ("Api:AllowHumanSessionHeaders", "true"));
        await using var rows = _database.Open();
        _owner = rows.Users.Single();
    }

    public async ValueTask DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task Create_ByTheHeadersThatTheCliSends_MakesAKeyThatWorks()
    {
        var project = await _database.AddProjectAsync();
        using var response = await Person().PostAsJsonAsync(
            Keys, new { name = " CLI key ", scopes = new[] { "sandbox:read", "sandbox:create", "sandbox:read" }, projectIds = new[] { project } });
        Assert.Equal(201, (int)response.StatusCode);
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
        var body = await response.JsonAsync();
        var (key, secret) = (body.GetProperty("apiKey"), body.Text("secret")!);
        Assert.Matches("^cn_live_[A-Za-z0-9]{32,}$", secret);
        Assert.Equal(secret[..12], key.Text("prefix"));
        Assert.Equal(secret[^4..], key.Text("last4"));
        Assert.Equal("CLI key", key.Text("name"));
        Assert.Equal(_owner.Id, key.Text("createdByUserId"));
        Assert.Equal(["sandbox:create", "sandbox:read"], key.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
        Assert.False(key.Has("revokedAt"));

        using var made = _api.Client(secret);
        var projects = await made.GetAsync("/v1/projects").JsonAsync();
        Assert.Equal(project, Assert.Single(projects.GetProperty("data").EnumerateArray()).Text("id"));
        await made.GetAsync(Keys).ErrorAsync(403, ErrorCodes.Forbidden);
    }

    [Fact]
    public async Task List_ByHeadersOrKey_ShowsEveryKeyAndNoSecret()
    {
        await _database.AddKeyAsync();
        foreach (var client in new[] { Person(), _api.Client() })
        {
            var text = await (await client.GetAsync(Keys)).Content.ReadAsStringAsync();
            Assert.DoesNotContain(TestDatabase.Key, text, StringComparison.Ordinal);
            Assert.DoesNotContain("hash", text, StringComparison.OrdinalIgnoreCase);
            Assert.Equal(2, JsonDocument.Parse(text).RootElement.GetProperty("data").GetArrayLength());
        }
    }

    [Fact]
    public async Task Revoke_ThenAgain_EndsTheKeyOnceAndStaysListed()
    {
        using var client = _api.Client();
        var victim = await _database.AddKeyAsync();
        var id = (await client.GetAsync($"{Keys}?limit=1").JsonAsync()).GetProperty("data")[0].Text("id");
        var revoked = (await client.DeleteAsync($"{Keys}/{id}").JsonAsync()).GetProperty("apiKey");
        Assert.Equal(revoked.Text("revokedAt"), (await client.DeleteAsync($"{Keys}/{id}").JsonAsync()).GetProperty("apiKey").Text("revokedAt"));
        Assert.Equal(revoked.Text("revokedAt"), (await client.GetAsync($"{Keys}/{id}").JsonAsync()).GetProperty("apiKey").Text("revokedAt"));
        await _api.Client(victim).GetAsync("/v1/projects").ErrorAsync(401, ErrorCodes.InvalidApiKey);
    }

    [Fact]
    public async Task Create_ByAnApiKey_IsForbidden() =>
        await _api.Client().PostAsJsonAsync(Keys, new { name = "x", scopes = new[] { "sandbox:read" } }).ErrorAsync(403, ErrorCodes.Forbidden);

    [Theory]
    [InlineData("""{"scopes":["sandbox:read"]}""", "name")]
    [InlineData("""{"name":" ","scopes":["sandbox:read"]}""", "name")]
    [InlineData("""{"name":"x"}""", "scopes")]
    [InlineData("""{"name":"x","scopes":[]}""", "scopes")]
    [InlineData("""{"name":"x","scopes":["sandbox:*"]}""", "scopes")]
    [InlineData("""{"name":"x","scopes":[null]}""", "scopes")]
    [InlineData("""{"name":"x","scopes":"sandbox:read"}""", "scopes")]
    [InlineData("""{"name":"x","scopes":["sandbox:read"],"projectIds":[]}""", "projectIds")]
    public async Task Create_WithInvalidBody_NamesTheField(string body, string field)
    {
        var error = await Person().PostAsync(Keys, new StringContent(body)).ErrorAsync(400, ErrorCodes.InvalidRequest);
        Assert.Equal(field, error.GetProperty("details").Text("field"));
    }

    [Fact]
    public async Task Create_ForAnotherOrganizationsProject_IsNotFound()
    {
        var (_, theirs) = await _database.AddOrganizationAsync();
        foreach (var project in new[] { theirs, "prj_unknown", "no id" })
        {
            await Person().PostAsJsonAsync(Keys, new { name = "x", scopes = new[] { "sandbox:read" }, projectIds = new[] { project } })
                .ErrorAsync(404, ErrorCodes.NotFound);
        }
    }

    [Fact]
    public async Task AnyRoute_ForKeysOutOfTheCallersReach_IsNotFoundLikeAnUnknownOne()
    {
        var (otherOrg, _) = await _database.AddOrganizationAsync();
        using var foreign = _api.Client(await _database.AddKeyAsync(orgId: otherOrg));
        using var restricted = _api.Client(await _database.AddKeyAsync(projectIds: [await _database.AddProjectAsync()]));
        var mine = (await _api.Client().GetAsync(Keys).JsonAsync()).GetProperty("data").EnumerateArray()
            .Single(k => k.Text("name") == "Bootstrap").Text("id");
        foreach (var client in new[] { foreign, restricted })
        {
            foreach (var id in new[] { mine, "key_unknown", "no-id" })
            {
                await client.GetAsync($"{Keys}/{id}").ErrorAsync(404, ErrorCodes.NotFound);
                await client.DeleteAsync($"{Keys}/{id}").ErrorAsync(404, ErrorCodes.NotFound);
            }

            Assert.Single((await client.GetAsync(Keys).JsonAsync()).GetProperty("data").EnumerateArray());
        }
    }

    [Fact]
    public async Task HumanHeaders_OfWrongRoleOrUser_AreRefused()
    {
        await Person(role: "member").GetAsync(Keys).ErrorAsync(403, ErrorCodes.Forbidden);
        await Person(role: "admin").GetAsync(Keys).ErrorAsync(401, ErrorCodes.Unauthorized);
        await Person(user: "usr_unknown").GetAsync(Keys).ErrorAsync(401, ErrorCodes.Unauthorized);
        var (otherOrg, _) = await _database.AddOrganizationAsync();
        await Person(org: otherOrg).GetAsync(Keys).ErrorAsync(401, ErrorCodes.Unauthorized);
        // A credential that is there counts, not the headers beside it.
        var both = Person();
        both.DefaultRequestHeaders.Authorization = new("Bearer", "wrong");
        await both.GetAsync(Keys).ErrorAsync(401, ErrorCodes.InvalidApiKey);
        await Person().GetAsync("/v1/projects").ErrorAsync(401, ErrorCodes.Unauthorized);
    }

    [Theory]
    [InlineData("X-Forwarded-For")]
    [InlineData("Forwarded")]
    [InlineData("Via")]
    [InlineData("X-Real-IP")]
    public async Task HumanHeaders_PassedOnByAProxy_DoNotCount(string header)
    {
        var client = Person();
        client.DefaultRequestHeaders.TryAddWithoutValidation(header, "for=127.0.0.1");
        await client.GetAsync(Keys).ErrorAsync(401, ErrorCodes.Unauthorized);
    }

    [Fact]
    public async Task HumanHeaders_WithoutTheSetting_DoNotCount()
    {
        await using var plain = new ApiInstance(_database, redis.ConnectionString);
        await Person(plain).GetAsync(Keys).ErrorAsync(401, ErrorCodes.Unauthorized);
        await Person(plain).PostAsJsonAsync(Keys, new { name = "x", scopes = new[] { "sandbox:read" } }).ErrorAsync(401, ErrorCodes.Unauthorized);
    }

    [Fact]
    public async Task HumanHeaders_OfASuspendedOrganization_AreOrgSuspended()
    {
        await _database.ExecuteAsync("UPDATE organizations SET suspended_at = now()");
        await Person().GetAsync(Keys).ErrorAsync(403, ErrorCodes.OrgSuspended);
    }

    private HttpClient Person(ApiInstance? api = null, string? org = null, string? user = null, string role = "owner")
    {
        var client = (api ?? _api).Client(bearer: null);
        client.DefaultRequestHeaders.Add("x-crownest-org-id", org ?? _owner.OrgId);
        client.DefaultRequestHeaders.Add("x-crownest-user-id", user ?? _owner.Id);
        client.DefaultRequestHeaders.Add("x-crownest-role", role);
        return client;
    }
}
