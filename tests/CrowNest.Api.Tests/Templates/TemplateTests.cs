using CrowNest.Contracts;
using CrowNest.Platform.Templates;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Templates;

public sealed class TemplateTests(PostgresFixture postgres, RedisFixture redis)
{
    [Fact]
    public async Task Templates_WithAndWithoutVersions_AreListedAndFound()
    {
        await using var api = new ApiInstance(await TestDatabase.CreateAsync(postgres), redis.ConnectionString);
        var versions = api.Services.GetRequiredService<TemplateVersionStore>();
        var now = DateTimeOffset.UtcNow;
        await versions.AddAsync(new("tplv_old", "tpl_python_node", "python-node", "2026-01-01", "sha256:1", "internet", now.AddDays(-1)), default);
        await versions.AddAsync(new("tplv_new", "tpl_python_node", "python-node", "2026-01-02", "sha256:2", "internet", now), default);

        using var client = api.Client();
        var list = await client.GetAsync("/v1/templates").JsonAsync();
        Assert.False(list.GetProperty("hasMore").GetBoolean());
        var templates = list.GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(TemplateSlugs.All, templates.Select(t => t.GetProperty("slug").GetString()));
        Assert.Equal("tpl_base", templates[0].GetProperty("id").GetString());
        Assert.All(templates, t => Assert.NotEmpty(t.GetProperty("description").GetString()!));
        Assert.False(templates[0].TryGetProperty("latestVersion", out _));
        Assert.Equal("tplv_new", templates[3].GetProperty("latestVersion").GetProperty("id").GetString());

        var one = (await client.GetAsync("/v1/templates/python-node").JsonAsync()).GetProperty("template");
        Assert.Equal("2026-01-02", one.GetProperty("latestVersion").GetProperty("version").GetString());
        await client.GetAsync("/v1/templates/ruby").ErrorAsync(404, ErrorCodes.NotFound);
    }
}
