using System.Net.Http.Json;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

public sealed class RunListTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private static readonly (string Method, string Path, string Scope)[] RoutesOfARun =
    [
        ("GET", "", Scopes.WorkspaceRunRead),
        ("GET", "/events", Scopes.WorkspaceRunRead),
        ("GET", "/events?stream=true", Scopes.WorkspaceRunRead),
        ("GET", "/evidence", Scopes.WorkspaceRunRead),
        ("GET", "/evidence?format=jws", Scopes.WorkspaceRunRead),
        ("POST", "/start", Scopes.WorkspaceRunCreate),
        ("POST", "/cancel", Scopes.WorkspaceRunCancel),
        ("PUT", "/archive", Scopes.WorkspaceRunCreate),
        ("POST", "/archive-transfer", Scopes.WorkspaceRunCreate),
        ("PUT", "/archive-transfer/upl_x", Scopes.WorkspaceRunCreate),
        ("POST", "/archive/finalize", Scopes.WorkspaceRunCreate),
    ];

    [Fact]
    public async Task EveryRoute_ForeignRun_IsAsUnknown()
    {
        var tenant = await fixture.TenantAsync();
        var other = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        using var restricted = await tenant.WithKeyAsync(projectIds: [second]);
        var mine = await tenant.RunAsync();
        foreach (var (method, path, _) in RoutesOfARun)
        {
            foreach (var id in new[] { "wsr_unknown", "nonsense", "wsr_%20" })
            {
                await SendAsync(tenant.Http, method, $"{id}{path}").ErrorAsync(404, "not_found");
            }

            await SendAsync(other.Http, method, $"{mine}{path}").ErrorAsync(404, "not_found");
            await SendAsync(restricted, method, $"{mine}{path}").ErrorAsync(404, "not_found");
        }

        Assert.Equal("awaiting_archive", await tenant.StoryAsync(mine));
    }

    [Fact]
    public async Task EveryRoute_WithoutItsScope_IsForbidden()
    {
        var tenant = await fixture.TenantAsync();
        var run = await tenant.RunAsync();
        foreach (var (method, path, scope) in RoutesOfARun)
        {
            using var weak = await tenant.WithKeyAsync([.. Scopes.All.Where(s => s != scope)]);
            var error = await SendAsync(weak, method, $"{run}{path}").ErrorAsync(403, "forbidden");
            Assert.Equal(scope, error.GetProperty("details").Text("requiredScope"));
        }
    }

    [Fact]
    public async Task List_Filters_CombineWithAnd()
    {
        var tenant = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        var a = await tenant.RunAsync(
            new { command = "x", metadata = new Dictionary<string, string> { ["ci.job"] = "codex/1", ["n"] = "a b" } });
        var b = await tenant.UploadedAsync(
            new { command = "x", metadata = new Dictionary<string, string> { ["ci.job"] = "codex/1" }, projectId = second });
        var c = await tenant.RunAsync();
        await (await fixture.TenantAsync()).RunAsync();
        Assert.Equal([c, b, a], await ListAsync(tenant, ""));
        Assert.Equal([b, a], await ListAsync(tenant, "metadata.ci.job=codex%2F1"));
        Assert.Equal([a], await ListAsync(tenant, "metadata.ci.job=codex/1&metadata.n=a+b"));
        Assert.Equal([b], await ListAsync(tenant, $"projectId={second}"));
        Assert.Equal([b], await ListAsync(tenant, "status=archive_uploaded"));
        Assert.Equal([c, a], await ListAsync(tenant, "status=awaiting_archive"));
        Assert.Empty(await ListAsync(tenant, "status=awaiting_archive&metadata.n=b"));
        using var restricted = await tenant.WithKeyAsync(projectIds: [second]);
        var seen = (await restricted.GetAsync(new Uri("/v1/workspace-runs", UriKind.Relative)).JsonAsync()).GetProperty("data");
        Assert.Equal(b, Assert.Single(seen.EnumerateArray()).Text("id"));
        await restricted.GetAsync(new Uri($"/v1/workspace-runs?projectId={tenant.ProjectId}", UriKind.Relative))
            .ErrorAsync(403, "forbidden");
    }

    [Fact]
    public async Task List_Pages_NeitherSkipNorRepeat()
    {
        var tenant = await fixture.TenantAsync();
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            ids.Insert(0, await tenant.RunAsync());
        }

        var seen = new List<string>();
        for (var cursor = ""; cursor is not null;)
        {
            var page = await tenant.GetAsync($"/v1/workspace-runs?limit=2{cursor}").JsonAsync();
            seen.AddRange(page.GetProperty("data").EnumerateArray().Select(r => r.Text("id")!));
            cursor = page.GetProperty("hasMore").GetBoolean() ? "&cursor=" + page.Text("nextCursor") : null;
            await tenant.RunAsync();
        }

        Assert.Equal(ids, seen);
    }

    [Theory]
    [InlineData("status=gone", "status")]
    [InlineData("limit=0", "limit")]
    [InlineData("cursor=x", "cursor")]
    public async Task List_WrongParameter_IsNamed(string query, string field)
    {
        var tenant = await fixture.TenantAsync();
        var error = await tenant.GetAsync($"/v1/workspace-runs?{query}").ErrorAsync(400, "invalid_request");
        Assert.Equal(field, error.GetProperty("details").Text("field"));
    }

    private static async Task<List<string>> ListAsync(Tenant tenant, string query) =>
        [.. (await tenant.GetAsync($"/v1/workspace-runs?{query}", "data")).EnumerateArray().Select(s => s.Text("id")!)];

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, string method, string path) =>
        client.SendAsync(new HttpRequestMessage(new HttpMethod(method), new Uri($"/v1/workspace-runs/{path}", UriKind.Relative))
        {
            Content = method == "GET" ? null : JsonContent.Create(new { }),
        });
}
