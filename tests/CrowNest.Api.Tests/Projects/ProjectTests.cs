using System.Text.Json;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Projects;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Projects;

public sealed class ProjectTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
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
    public async Task List_AtFirstStart_HasTheDefaultProject()
    {
        var page = await _api.Client().GetAsync("/v1/projects").JsonAsync();
        var project = Assert.Single(page.GetProperty("data").EnumerateArray());
        Assert.Equal(["createdAt", "id", "name", "orgId"], project.EnumerateObject().Select(m => m.Name).Order());
        Assert.Matches("^prj_[0-9a-z]{24}$", project.GetProperty("id").GetString());
        Assert.Matches("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$", project.GetProperty("createdAt").GetString());
        Assert.False(page.GetProperty("hasMore").GetBoolean());
        Assert.False(page.TryGetProperty("nextCursor", out _));
    }

    [Fact]
    public async Task List_PageByPageWhileRowsComeAndGo_HasEveryProjectOnce()
    {
        var at = DateTimeOffset.UtcNow;
        var expected = new List<string>();
        for (var i = 0; i < 7; i++)
        {
            // The same instant for some: ties are ordered by id.
            expected.Add(await _database.AddProjectAsync(createdAt: at.AddMinutes(i / 3)));
        }

        using var client = _api.Client();
        var seen = new List<string>();
        string? cursor = null;
        do
        {
            var page = await client.GetAsync($"/v1/projects?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}").JsonAsync();
            seen.AddRange(page.GetProperty("data").EnumerateArray().Select(p => p.GetProperty("id").GetString()!));
            Assert.Equal(page.GetProperty("hasMore").GetBoolean(), page.TryGetProperty("nextCursor", out var next));
            cursor = next.ValueKind == JsonValueKind.String ? next.GetString() : null;
            await _database.AddProjectAsync(createdAt: at.AddHours(1));
        }
        while (cursor is not null);

        Assert.Equal(seen.Distinct().Count(), seen.Count);
        Assert.All(expected, id => Assert.Contains(id, seen));
    }

    [Theory]
    [InlineData("?limit=0")]
    [InlineData("?limit=501")]
    [InlineData("?limit=x")]
    [InlineData("?cursor=nonsense")]
    public async Task List_WithInvalidWindow_IsInvalidRequest(string query) =>
        await _api.Client().GetAsync($"/v1/projects{query}").ErrorAsync(400, ErrorCodes.InvalidRequest);

    [Fact]
    public async Task List_WithRestrictedKeyOrOtherOrganization_ShowsOnlyTheirs()
    {
        var mine = await _database.AddProjectAsync();
        var (otherOrg, theirs) = await _database.AddOrganizationAsync();
        Assert.Equal([mine], await IdsAsync(await _database.AddKeyAsync(projectIds: [mine, theirs])));
        Assert.Equal([theirs], await IdsAsync(await _database.AddKeyAsync(orgId: otherOrg)));
    }

    [Fact]
    public async Task Resolve_NamedOrNot_FollowsTheContract()
    {
        var access = _api.Services.GetRequiredService<ProjectAccess>();
        var (otherOrg, theirs) = await _database.AddOrganizationAsync();
        var extra = await _database.AddProjectAsync(otherOrg);
        var free = new Caller("key_1", otherOrg, null, "builder", [], null);
        var restricted = new Caller("key_2", otherOrg, null, "builder", [], [extra]);
        Assert.Equal(theirs, await access.ResolveAsync(free, null, default));
        Assert.Equal(extra, await access.ResolveAsync(free, extra, default));
        Assert.Equal(extra, await access.ResolveAsync(restricted, extra, default));
        await RefusedAsync(ErrorCodes.Forbidden, restricted, theirs);
        await RefusedAsync(ErrorCodes.Forbidden, restricted, null);
        await RefusedAsync(ErrorCodes.NotFound, restricted, "prj_unknown");
        await RefusedAsync(ErrorCodes.NotFound, free, "not an id");
        await RefusedAsync(ErrorCodes.NotFound, free, await _database.AddProjectAsync());

        async Task RefusedAsync(string code, Caller caller, string? project) => Assert.Equal(
            code, (await Assert.ThrowsAsync<ApiException>(() => access.ResolveAsync(caller, project, default).AsTask())).Code);
    }

    private async Task<string[]> IdsAsync(string key) =>
    [
        .. (await _api.Client(key).GetAsync("/v1/projects").JsonAsync()).GetProperty("data").EnumerateArray()
            .Select(p => p.GetProperty("id").GetString()!),
    ];
}
