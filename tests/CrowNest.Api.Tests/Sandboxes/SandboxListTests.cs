using System.Text.Json;
using Xunit;

namespace CrowNest.Api.Tests.Sandboxes;

public sealed class SandboxListTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Get_ForeignOrMalformed_IsNotFound()
    {
        var tenant = await fixture.TenantAsync();
        var foreign = await (await fixture.TenantAsync()).SandboxAsync();
        foreach (var id in new[] { foreign, "sbx_unknown", "nonsense", "sbx_%20", "cmd_1" })
        {
            await tenant.Http.GetAsync(new Uri($"/v1/sandboxes/{id}", UriKind.Relative)).ErrorAsync(404, "not_found");
        }
    }

    [Fact]
    public async Task Get_RestrictedKey_SeesOnlyItsProjects()
    {
        var tenant = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        var hidden = await tenant.SandboxAsync();
        var visible = await tenant.SandboxAsync(new { projectId = second });
        using var restricted = await tenant.WithKeyAsync(projectIds: [second]);
        await restricted.GetAsync(new Uri($"/v1/sandboxes/{hidden}", UriKind.Relative)).ErrorAsync(404, "not_found");
        var listed = await restricted.GetAsync(new Uri("/v1/sandboxes", UriKind.Relative)).JsonAsync();
        Assert.Equal([visible], IdsOf(listed.GetProperty("data")));
        await restricted.GetAsync(new Uri($"/v1/sandboxes?projectId={tenant.ProjectId}", UriKind.Relative)).ErrorAsync(403, "forbidden");
        await restricted.GetAsync(new Uri("/v1/sandboxes?projectId=prj_unknown", UriKind.Relative)).ErrorAsync(404, "not_found");
    }

    [Fact]
    public async Task List_Filters_CombineWithAnd()
    {
        var tenant = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        var a = await tenant.SandboxAsync(new { metadata = new { app = "codex/1", stage = "a b" } });
        var b = await tenant.SandboxAsync(new { metadata = new { app = "codex/1", stage = "x" }, projectId = second });
        await tenant.SandboxAsync(new { metadata = new { app = "other" } });
        Assert.Equal([b, a], await ListAsync(tenant, "metadata.app=codex%2F1"));
        Assert.Equal([a], await ListAsync(tenant, "metadata.app=codex/1&metadata.stage=a+b"));
        Assert.Equal([b], await ListAsync(tenant, $"metadata.app=codex/1&projectId={second}"));
        Assert.Empty(await ListAsync(tenant, "metadata.app=codex"));
        Assert.Empty(await ListAsync(tenant, "metadata.missing="));
    }

    [Fact]
    public async Task List_StatusAndHistory_ShowWhatIsAskedFor()
    {
        var tenant = await fixture.TenantAsync();
        var ready = await tenant.SandboxAsync();
        var idle = await tenant.SandboxAsync();
        var running = await tenant.SandboxAsync();
        var gone = await tenant.SandboxAsync();
        using var ran = await tenant.RunAsync(idle, new { command = "exit 0" });
        var command = await tenant.CommandAsync(running, "hang");
        using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{gone}", UriKind.Relative));

        Assert.Equal([running, idle, ready], await ListAsync(tenant, ""));
        Assert.Equal([gone, running, idle, ready], await ListAsync(tenant, "include=historical"));
        Assert.Equal([ready], await ListAsync(tenant, "status=ready"));
        Assert.Equal([idle], await ListAsync(tenant, "status=idle"));
        Assert.Equal([running], await ListAsync(tenant, "status=running"));
        Assert.Equal([gone], await ListAsync(tenant, "status=destroyed"));
        Assert.Equal(("ready", "idle", "running"), (await tenant.StatusAsync(ready), await tenant.StatusAsync(idle), await tenant.StatusAsync(running)));
        await fixture.Worker.Command(command).ExitAsync(0);
        Assert.Equal("idle", await tenant.StatusAsync(running));
    }

    [Theory]
    [InlineData("status=gone", "status")]
    [InlineData("include=all", "include")]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=501", "limit")]
    [InlineData("limit=ten", "limit")]
    [InlineData("cursor=nonsense", "cursor")]
    public async Task List_WrongParameter_IsNamed(string query, string field)
    {
        var tenant = await fixture.TenantAsync();
        var error = await tenant.Http.GetAsync(new Uri($"/v1/sandboxes?{query}", UriKind.Relative)).ErrorAsync(400, "invalid_request");
        Assert.Equal(field, error.GetProperty("details").Text("field"));
    }

    [Fact]
    public async Task List_PagesUnderInsertsAndDeletes_NeitherSkipNorRepeat()
    {
        var tenant = await fixture.TenantAsync();
        var ids = new List<string>();
        for (var i = 0; i < 7; i++)
        {
            ids.Insert(0, await tenant.SandboxAsync());
        }

        var seen = new List<string>();
        var cursor = "";
        for (var page = 0; page < 10 && cursor is not null; page++)
        {
            var body = await tenant.Http.GetAsync(new Uri($"/v1/sandboxes?limit=2{cursor}", UriKind.Relative)).JsonAsync();
            seen.AddRange(IdsOf(body.GetProperty("data")));
            Assert.Equal(body.GetProperty("hasMore").GetBoolean(), body.Has("nextCursor"));
            cursor = body.Has("nextCursor") ? "&cursor=" + body.Text("nextCursor") : null;

            // A newer one appears, and the row that the cursor points at leaves the list.
            await tenant.SandboxAsync();
            using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{seen[^1]}", UriKind.Relative));
        }

        Assert.Equal(ids, seen);
    }

    private static async Task<List<string>> ListAsync(Tenant tenant, string query) =>
        IdsOf(await tenant.GetAsync($"/v1/sandboxes?{query}", "data"));

    private static List<string> IdsOf(JsonElement data) => [.. data.EnumerateArray().Select(s => s.Text("id")!)];
}
