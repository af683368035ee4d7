using System.Net.Http.Json;
using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

public sealed class RunCreateTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Create_CommandAlone_TakesTheDefaults()
    {
        var tenant = await fixture.TenantAsync();
        using var response = await tenant.CreateRunAsync(new { command = "npm test" });
        Assert.Equal(201, (int)response.StatusCode);
        var run = (await response.JsonAsync()).GetProperty("workspaceRun");
        Assert.StartsWith("wsr_", run.Text("id"), StringComparison.Ordinal);
        Assert.Equal((tenant.OrgId, tenant.ProjectId, "awaiting_archive"), (run.Text("orgId"), run.Text("projectId"), run.Text("status")));
        Assert.Equal(("npm test", 600_000L), (run.Text("command"), run.Number("timeoutMs")));
        Assert.Equal(("python-node", ResourceFixture.Version), (run.Text("templateSlug"), run.Text("templateVersionId")));
        Assert.True(run.Has("templateId") && run.Has("templateVersion"));
        Assert.False(run.GetProperty("keepSandbox").GetBoolean() || run.GetProperty("evidenceAvailable").GetBoolean());
        Assert.Equal(("{}", "[]"), (run.GetProperty("metadata").GetRawText(), run.GetProperty("envKeys").GetRawText()));
        Assert.InRange(run.Time("createdAt"), DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow);
        foreach (var later in new[]
        {
            "archive", "uploadedAt", "sandboxId", "commandId", "startedAt", "finishedAt", "durationMs", "exitCode", "sourceMetadata",
            "artifactIds", "artifactErrors", "cleanupStatus", "failureReason", "failureClass", "orchestrationSucceeded",
        })
        {
            Assert.False(run.Has(later), later);
        }

        Assert.Equal(run.GetRawText(), (await tenant.ReadRunAsync(run.Text("id")!)).GetRawText());
        Assert.Equal("awaiting_archive", await tenant.StoryAsync(run.Text("id")!));
    }

    [Fact]
    public async Task Create_EveryMember_IsKept()
    {
        var tenant = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        var id = await tenant.RunAsync(new
        {
            command = "make",
            artifacts = new object[] { new { path = "coverage/lcov.info" }, new { path = "/workspace/a b", name = "b" } },
            keepSandbox = true,
            metadata = new { pr = "12" },
            sourceMetadata = new { commit = "abc" },
            projectId = second,
            template = "base",
            timeoutMs = 3_600_000,
            unknown = 1,
        });
        var run = await tenant.ReadRunAsync(id);
        Assert.Equal((second, "base", 3_600_000L), (run.Text("projectId"), run.Text("templateSlug"), run.Number("timeoutMs")));
        Assert.Equal(("12", "abc"), (run.GetProperty("metadata").Text("pr"), run.GetProperty("sourceMetadata").Text("commit")));
        var row = (await fixture.Api.Services.GetRequiredService<WorkspaceRunStore>().FindAsync(id, default))!;
        Assert.Equal([new CollectItem("coverage/lcov.info"), new CollectItem("/workspace/a b", "b")], row.Artifacts);
        Assert.True(row.KeepSandbox);
        Assert.Equal(
            new RunAllowance(25, NetworkPolicy.None, 1, 1024, 30L * 24 * 3600 * 1000,
                1024L * 1024 * 1024, 2L * 1024 * 1024 * 1024, 200_000),
            row.Allowance);
    }

    [Theory]
    [InlineData("{}", "invalid_request", "command")]
    [InlineData("""{"command":" \n"}""", "invalid_request", "command")]
    [InlineData("""{"command":7}""", "invalid_request", "command")]
    [InlineData("""{"command":"a\u0000"}""", "invalid_request", "command")]
    [InlineData("""{"command":"x","timeoutMs":0}""", "invalid_request", "timeoutMs")]
    [InlineData("""{"command":"x","timeoutMs":3600001}""", "invalid_request", "timeoutMs")]
    [InlineData("""{"command":"x","timeoutMs":1.5}""", "invalid_request", "timeoutMs")]
    [InlineData("""{"command":"x","keepSandbox":"yes"}""", "invalid_request", "keepSandbox")]
    [InlineData("""{"command":"x","artifacts":"a"}""", "invalid_request", "artifacts")]
    [InlineData("""{"command":"x","artifacts":[{}]}""", "invalid_request", "artifacts[0].path")]
    [InlineData("""{"command":"x","artifacts":[null]}""", "invalid_request", "artifacts[0]")]
    [InlineData("""{"command":"x","artifacts":[{"path":""}]}""", "invalid_request", "artifacts[0].path")]
    [InlineData("""{"command":"x","artifacts":[{"path":"a","name":""}]}""", "invalid_request", "artifacts[0]")]
    [InlineData("""{"command":"x","artifacts":[{"path":"ok"},{"path":"../etc/passwd"}]}""", "path_outside_workspace", "artifacts[1].path")]
    [InlineData("""{"command":"x","artifacts":[{"path":"/etc/passwd"}]}""", "path_outside_workspace", "artifacts[0].path")]
    [InlineData("""{"command":"x","artifacts":[{"path":"/workspacer"}]}""", "path_outside_workspace", "artifacts[0].path")]
    [InlineData("""{"command":"x","metadata":{"a b":"1"}}""", "invalid_metadata_key", "metadata.a b")]
    [InlineData("""{"command":"x","metadata":{"a":1}}""", "invalid_metadata_value", "metadata.a")]
    [InlineData("""{"command":"x","sourceMetadata":{"a":1}}""", "invalid_metadata_value", "sourceMetadata.a")]
    [InlineData("""{"command":"x","sourceMetadata":{"":"1"}}""", "invalid_metadata_key", "sourceMetadata.")]
    [InlineData("""{"command":"x","template":"ruby"}""", "invalid_request", "template")]
    [InlineData("""{"command":"x","template":"base","templateVersionId":"tplv_python_node_2"}""", "invalid_request", "templateVersionId")]
    public async Task Create_WrongMember_IsNamed(string body, string code, string field)
    {
        var tenant = await fixture.TenantAsync();
        var error = await PostAsync(tenant, body).ErrorAsync(400, code);
        Assert.Equal(field, error.GetProperty("details").Text("field"));
    }

    [Fact]
    public async Task Create_LimitsOfMaps_HaveTheirCodes()
    {
        var tenant = await fixture.TenantAsync();
        var many = Enumerable.Range(0, 17).ToDictionary(i => $"k{i}", _ => "v");
        var large = Enumerable.Range(0, 9).ToDictionary(i => $"k{i}", _ => new string('v', 512));
        foreach (var member in new[] { "metadata", "sourceMetadata" })
        {
            await CreateAsync(member, many).ErrorAsync(400, "metadata_too_many_keys");
            await CreateAsync(member, large).ErrorAsync(400, "metadata_too_large");
            await CreateAsync(member, new() { ["k"] = new string('v', 513) }).ErrorAsync(400, "invalid_metadata_value");
        }

        var artifacts = Enumerable.Range(0, 33).Select(i => new { path = $"f{i}" });
        var error = await tenant.CreateRunAsync(new { command = "x", artifacts }).ErrorAsync(400, "invalid_request");
        Assert.Equal(("artifacts", 32L), (error.GetProperty("details").Text("field"), error.GetProperty("details").Number("max")));
        await PostAsync(tenant, "[]").ErrorAsync(400, "invalid_request");
        await PostAsync(tenant, "").ErrorAsync(400, "invalid_request");
        await PostAsync(tenant, $"{{\"command\":\"{new string('x', 1 << 20)}\"}}").ErrorAsync(413, "invalid_request");

        Task<HttpResponseMessage> CreateAsync(string member, Dictionary<string, string> map) =>
            tenant.CreateRunAsync(new Dictionary<string, object> { ["command"] = "x", [member] = map });
    }

    [Fact]
    public async Task Create_ProjectsAndScopes_AreThoseOfTheKey()
    {
        var tenant = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        var foreign = (await fixture.TenantAsync()).ProjectId;
        await tenant.CreateRunAsync(new { command = "x", projectId = foreign }).ErrorAsync(404, "not_found");
        await tenant.CreateRunAsync(new { command = "x", templateVersionId = "tplv_unknown" }).ErrorAsync(404, "not_found");
        using var restricted = await tenant.WithKeyAsync(projectIds: [second]);
        await restricted.PostAsJsonAsync("/v1/workspace-runs", new { command = "x" }).ErrorAsync(403, "forbidden");
        await restricted.PostAsJsonAsync("/v1/workspace-runs", new { command = "x", projectId = tenant.ProjectId })
            .ErrorAsync(403, "forbidden");
        using var reader = await tenant.WithKeyAsync([Scopes.WorkspaceRunRead]);
        await reader.PostAsJsonAsync("/v1/workspace-runs", new { command = "x" }).ErrorAsync(403, "forbidden");
        using var creator = await tenant.WithKeyAsync([Scopes.WorkspaceRunCreate]);
        var body = new { command = "x", artifacts = new[] { new { path = "a" } } };
        var error = await creator.PostAsJsonAsync("/v1/workspace-runs", body).ErrorAsync(403, "forbidden");
        Assert.Equal("artifact:create", error.GetProperty("details").Text("requiredScope"));
        using var without = await creator.PostAsJsonAsync("/v1/workspace-runs", new { command = "x", artifacts = Array.Empty<object>() });
        Assert.Equal(201, (int)without.StatusCode);
    }

    [Fact]
    public async Task Create_VersionThatNoNodeHasNow_IsAcceptedForLater()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync(new { command = "x", templateVersionId = ResourceFixture.MissingVersion });
        Assert.Equal(("base", ResourceFixture.MissingVersion),
            ((await tenant.ReadRunAsync(id)).Text("templateSlug"), (await tenant.ReadRunAsync(id)).Text("templateVersionId")));
        await tenant.CreateRunAsync(new { command = "x", template = "python" }).ErrorAsync(500, "runtime_error");
    }

    [Fact]
    public async Task Create_InASandbox_TakesItsTemplateAndProject()
    {
        var tenant = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        var warm = await tenant.SandboxAsync(new { template = "base", projectId = second, resources = new { cpus = 2, memoryMb = 512 } });
        var id = await tenant.RunAsync(new { command = "x", sandboxId = warm });
        var run = await tenant.ReadRunAsync(id);
        Assert.Equal((second, "base", ResourceFixture.BaseVersion),
            (run.Text("projectId"), run.Text("templateSlug"), run.Text("templateVersionId")));
        Assert.False(run.Has("sandboxId"));
        var allowance = (await fixture.Api.Services.GetRequiredService<WorkspaceRunStore>().FindAsync(id, default))!.Allowance;
        Assert.Equal((2.0, 512), (allowance.Cpus, allowance.MemoryMb));

        await tenant.RunAsync(
            new
            {
                command = "x",
                sandboxId = warm,
                projectId = second,
                template = "base",
                templateVersionId = run.Text("templateVersionId")
            });
        await tenant.CreateRunAsync(new { command = "x", sandboxId = warm, projectId = tenant.ProjectId }).ErrorAsync(404, "not_found");
        var error = await tenant.CreateRunAsync(new { command = "x", sandboxId = warm, template = "python-node" })
            .ErrorAsync(400, "invalid_request");
        Assert.Equal("template", error.GetProperty("details").Text("field"));
        error = await tenant.CreateRunAsync(new { command = "x", sandboxId = warm, templateVersionId = ResourceFixture.Version })
            .ErrorAsync(400, "invalid_request");
        Assert.Equal("templateVersionId", error.GetProperty("details").Text("field"));
        foreach (var unknown in new[] { await (await fixture.TenantAsync()).SandboxAsync(), "sbx_unknown", "nonsense", "" })
        {
            // Told before what is wrong with the rest (docs/reference/api.md 2.6).
            await tenant.CreateRunAsync(new { command = "", sandboxId = unknown }).ErrorAsync(404, "not_found");
        }

        using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{warm}", UriKind.Relative));
        await tenant.CreateRunAsync(new { command = "x", sandboxId = warm }).ErrorAsync(410, "sandbox_destroyed");
    }

    [Fact]
    public async Task Create_UnderAKey_MakesOneRun()
    {
        var tenant = await fixture.TenantAsync();
        var first = await KeyedAsync("a");
        Assert.Equal(first, await KeyedAsync("a"));
        Assert.NotEqual(first, await KeyedAsync("b"));
        using var other = Keyed("a", "false");
        await tenant.Http.SendAsync(other).ErrorAsync(409, "idempotency_key_reused");

        HttpRequestMessage Keyed(string key, string command) => new(HttpMethod.Post, "/v1/workspace-runs")
        {
            Headers = { { "Idempotency-Key", key } },
            Content = JsonContent.Create(new { command }),
        };

        async Task<string?> KeyedAsync(string key)
        {
            using var request = Keyed(key, "true");
            using var response = await tenant.Http.SendAsync(request);
            Assert.Equal(201, (int)response.StatusCode);
            return (await response.JsonAsync()).GetProperty("workspaceRun").Text("id");
        }
    }

    private static async Task<HttpResponseMessage> PostAsync(Tenant tenant, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        return await tenant.Http.PostAsync(new Uri("/v1/workspace-runs", UriKind.Relative), content);
    }
}
