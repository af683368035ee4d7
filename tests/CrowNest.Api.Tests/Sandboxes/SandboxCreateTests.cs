using System.Net.Http.Json;
using CrowNest.Api.Tests.Fleet;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Sandboxes;

public sealed class SandboxCreateTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Create_EmptyBody_IsReadyWithDefaults()
    {
        var tenant = await fixture.TenantAsync();
        using var response = await tenant.CreateAsync();
        Assert.Equal(201, (int)response.StatusCode);
        var sandbox = (await response.JsonAsync()).GetProperty("sandbox");
        Assert.True(Ids.IsValid(sandbox.Text("id"), Ids.Sandbox));
        Assert.Equal(tenant.OrgId, sandbox.Text("orgId"));
        Assert.Equal(tenant.ProjectId, sandbox.Text("projectId"));
        Assert.Equal("ready", sandbox.Text("status"));
        Assert.Equal("tpl_python_node", sandbox.Text("templateId"));
        Assert.Equal("python-node", sandbox.Text("templateSlug"));
        Assert.Equal("2026-11-22", sandbox.Text("templateVersion"));
        Assert.Equal(ResourceFixture.Version, sandbox.Text("templateVersionId"));
        Assert.Equal(3_600_000, sandbox.Number("ttlMs"));
        Assert.Equal(sandbox.Time("createdAt").AddMilliseconds(3_600_000), sandbox.Time("expiresAt"));
        Assert.Empty(sandbox.GetProperty("metadata").EnumerateObject());
        Assert.Equal("none", sandbox.Text("network"));
        Assert.Equal(1024, sandbox.GetProperty("resources").Number("memoryMb"));
        Assert.False(sandbox.Has("destroyedAt") || sandbox.Has("destroyedReason") || sandbox.Has("failureMessage"));

        // The record says the same as the answer, which was not read from it.
        Assert.Equal(sandbox.GetRawText(), (await tenant.GetAsync($"/v1/sandboxes/{sandbox.Text("id")}", "sandbox")).GetRawText());
    }

    [Fact]
    public async Task Create_WithoutBody_IsCreated()
    {
        var tenant = await fixture.TenantAsync();
        using var response = await tenant.Http.PostAsync(new Uri("/v1/sandboxes", UriKind.Relative), null);
        Assert.Equal(201, (int)response.StatusCode);
    }

    [Fact]
    public async Task Create_EverythingGiven_ReachesTheNode()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync(new
        {
            projectId = tenant.ProjectId,
            template = "python-node",
            templateVersionId = ResourceFixture.OlderVersion,
            ttlMs = 1,
            metadata = new Dictionary<string, string> { ["a.b:c-d_E"] = "ü/ö" },
            resources = new { cpus = 4, memoryMb = 8192 },
            network = "internet",
            unknown = true,
        });
        var start = fixture.Worker.Started.Single(s => s.SandboxId == id);
        Assert.Equal((tenant.OrgId, tenant.ProjectId, ResourceFixture.OlderVersion), (start.OrgId, start.ProjectId, start.TemplateVersionId));
        Assert.Equal(("internet", 4.0, 8192, "tpl_python_node"), (start.Network, start.Cpus, start.MemoryMb, start.TemplateId));
        var sandbox = await tenant.GetAsync($"/v1/sandboxes/{id}", "sandbox");
        Assert.Equal("2026-11-21", sandbox.Text("templateVersion"));
        Assert.Equal("ü/ö", sandbox.GetProperty("metadata").Text("a.b:c-d_E"));
        Assert.Equal(1, sandbox.Number("ttlMs"));
        Assert.Equal("internet", sandbox.Text("network"));
        Assert.Equal("""{"cpus":4,"memoryMb":8192}""", sandbox.GetProperty("resources").GetRawText());
    }

    [Theory]
    [InlineData("""{"template":"nope"}""", 400, "invalid_request", "template")]
    [InlineData("""{"template":"tpl_base"}""", 400, "invalid_request", "template")]
    [InlineData("""{"template":7}""", 400, "invalid_request", "template")]
    [InlineData("""{"templateVersionId":"tplv_unknown"}""", 404, "not_found", "templateVersionId")]
    [InlineData("""{"template":"base","templateVersionId":"tplv_python_node_1"}""", 400, "invalid_request", "templateVersionId")]
    [InlineData("""{"ttlMs":0}""", 400, "invalid_request", "ttlMs")]
    [InlineData("""{"ttlMs":-5}""", 400, "invalid_request", "ttlMs")]
    [InlineData("""{"ttlMs":1.5}""", 400, "invalid_request", "ttlMs")]
    [InlineData("""{"ttlMs":"60000"}""", 400, "invalid_request", "ttlMs")]
    [InlineData("""{"ttlMs":3600001}""", 400, "sandbox_ttl_exceeded", "ttlMs")]
    [InlineData("""{"metadata":{"a b":"x"}}""", 400, "invalid_metadata_key", "metadata.a b")]
    [InlineData("""{"metadata":{"a":5}}""", 400, "invalid_metadata_value", "metadata.a")]
    [InlineData("""{"metadata":[]}""", 400, "invalid_request", "metadata")]
    [InlineData("""{"resources":{"cpus":0.05}}""", 400, "unsupported_runtime_option", "resources.cpus")]
    [InlineData("""{"resources":{"cpus":8.5}}""", 400, "unsupported_runtime_option", "resources.cpus")]
    [InlineData("""{"resources":{"cpus":"4"}}""", 400, "invalid_request", "resources.cpus")]
    [InlineData("""{"resources":{"memoryMb":127}}""", 400, "unsupported_runtime_option", "resources.memoryMb")]
    [InlineData("""{"resources":{"memoryMb":16385}}""", 400, "unsupported_runtime_option", "resources.memoryMb")]
    [InlineData("""{"network":"host"}""", 400, "invalid_request", "network")]
    [InlineData("""{"restoreFrom":"bkp_1"}""", 403, "feature_not_enabled", "restoreFrom")]
    public async Task Create_WrongMember_IsNamed(string body, int status, string code, string field)
    {
        var tenant = await fixture.TenantAsync();
        var error = await PostAsync(tenant, body).ErrorAsync(status, code);
        Assert.Equal(field, error.GetProperty("details").Text("field"));
        Assert.Empty((await tenant.GetAsync("/v1/sandboxes?include=historical", "data")).EnumerateArray());
    }

    [Theory]
    [InlineData("free", 1_800_000)]
    [InlineData("builder", 3_600_000)]
    [InlineData("scale", 7_200_000)]
    [InlineData("enterprise", 7_200_000)]
    [InlineData("gone", 1_800_000)]
    public async Task Create_TtlAtThePlansCeiling_IsTheLongest(string plan, long ceiling)
    {
        var tenant = await fixture.TenantAsync(plan);
        var sandbox = await tenant.GetAsync($"/v1/sandboxes/{await tenant.SandboxAsync(new { ttlMs = ceiling })}", "sandbox");
        Assert.Equal(ceiling, sandbox.Number("ttlMs"));
        var error = await tenant.CreateAsync(new { ttlMs = ceiling + 1 }).ErrorAsync(400, "sandbox_ttl_exceeded");
        Assert.Equal(ceiling, error.GetProperty("details").Number("max"));
        var byDefault = await tenant.GetAsync($"/v1/sandboxes/{await tenant.SandboxAsync()}", "sandbox");
        Assert.Equal(Math.Min(3_600_000, ceiling), byDefault.Number("ttlMs"));
    }

    [Theory]
    [InlineData("base", "eng/images.sh", ResourceFixture.MissingVersion)]
    [InlineData("node", "eng/images.sh node", null)]
    public async Task Create_ImageIsNowhere_IsNamedAtOnce(string template, string hint, string? version)
    {
        var tenant = await fixture.TenantAsync();
        object body = version is null ? new { template } : new { template, templateVersionId = version };
        var error = await tenant.CreateAsync(body).ErrorAsync(500, "runtime_error");
        Assert.Contains(hint, error.Text("message"), StringComparison.Ordinal);
        Assert.Contains(version ?? template, error.Text("message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_ForeignProject_IsNotFound()
    {
        var tenant = await fixture.TenantAsync();
        var other = await fixture.TenantAsync();
        await tenant.CreateAsync(new { projectId = other.ProjectId }).ErrorAsync(404, "not_found");
        await tenant.CreateAsync(new { projectId = "prj_unknown" }).ErrorAsync(404, "not_found");
    }

    [Fact]
    public async Task Create_RestrictedKey_UsesOnlyItsProjects()
    {
        var tenant = await fixture.TenantAsync();
        var second = await fixture.Database.AddProjectAsync(tenant.OrgId);
        using var restricted = await tenant.WithKeyAsync(projectIds: [second]);
        await restricted.PostAsJsonAsync("/v1/sandboxes", new { projectId = tenant.ProjectId }).ErrorAsync(403, "forbidden");
        await restricted.PostAsJsonAsync("/v1/sandboxes", new { }).ErrorAsync(403, "forbidden");
        using var response = await restricted.PostAsJsonAsync("/v1/sandboxes", new { projectId = second });
        Assert.Equal(second, (await response.JsonAsync()).GetProperty("sandbox").Text("projectId"));
    }

    [Fact]
    public async Task Create_WithoutScope_IsForbidden()
    {
        var tenant = await fixture.TenantAsync();
        using var reader = await tenant.WithKeyAsync([Scopes.SandboxRead]);
        var error = await reader.PostAsJsonAsync("/v1/sandboxes", new { }).ErrorAsync(403, "forbidden");
        Assert.Equal("sandbox:create", error.GetProperty("details").Text("requiredScope"));
    }

    [Fact]
    public async Task Create_ManyAtOnce_StopAtTheCeiling()
    {
        var tenant = await fixture.TenantAsync("free");
        var responses = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => tenant.CreateAsync()));
        Assert.Equal(2, responses.Count(r => (int)r.StatusCode == 201));
        var refused = responses.Where(r => (int)r.StatusCode != 201).ToList();
        Assert.All(refused, r => Assert.Equal(429, (int)r.StatusCode));
        var details = (await refused[0].JsonAsync()).GetProperty("error").GetProperty("details");
        Assert.Equal(("active_sandboxes", 2, 2), (details.Text("quota"), details.Number("limit"), details.Number("current")));
    }

    [Fact]
    public async Task Create_AfterAKill_FitsAgain()
    {
        var tenant = await fixture.TenantAsync("free");
        var id = await tenant.SandboxAsync();
        await tenant.SandboxAsync();
        await tenant.CreateAsync().ErrorAsync(429, "quota_exceeded");
        using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{id}", UriKind.Relative));
        await tenant.SandboxAsync();
    }

    [Fact]
    public async Task Create_ProvisioningFails_Is500AndLeavesAFailedRecord()
    {
        var tenant = await fixture.TenantAsync();
        var error = await OnStartAsync(async (start, _) =>
        {
            await fixture.Worker.Sandboxes.MarkStartingAsync(start.SandboxId, fixture.Worker.Id, default);
            await fixture.Worker.Sandboxes.MarkFailedAsync(start.SandboxId, "The engine refused.", DateTimeOffset.UtcNow, default);
            return TestWorker.Refuse(ErrorCodes.RuntimeError, "The engine refused.");
        }, () => tenant.CreateAsync().ErrorAsync(500, "runtime_error"));
        Assert.Equal("The engine refused.", error.Text("message"));
        var sandbox = Assert.Single((await tenant.GetAsync("/v1/sandboxes?include=historical", "data")).EnumerateArray());
        Assert.Equal(("failed", "The engine refused."), (sandbox.Text("status"), sandbox.Text("failureMessage")));
        Assert.Empty((await tenant.GetAsync("/v1/sandboxes", "data")).EnumerateArray());
    }

    [Fact]
    public async Task Create_EveryNodeIsFull_Is429AtOnce()
    {
        var tenant = await fixture.TenantAsync();
        var error = await OnStartAsync(
            (_, _) => Task.FromResult<IResult?>(TestWorker.Refuse(ErrorCodes.QuotaExceeded, "Full.", 429)),
            () => tenant.CreateAsync().ErrorAsync(429, "quota_exceeded"));
        Assert.Equal("node_capacity", error.GetProperty("details").Text("quota"));
        Assert.Equal("failed", Assert.Single((await tenant.GetAsync("/v1/sandboxes?status=failed", "data")).EnumerateArray()).Text("status"));
    }

    [Fact]
    public async Task Create_NodeDiesBeforeTakingItOn_Is500()
    {
        var tenant = await fixture.TenantAsync();
        var error = await OnStartAsync((_, context) =>
        {
            context.Abort();
            return Task.FromResult<IResult?>(Results.Empty);
        }, () => tenant.CreateAsync().ErrorAsync(500, "runtime_error"));
        Assert.Contains("do not answer", error.Text("message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_ConnectionBreaksAfterTheNodeTookItOn_FollowsTheRow()
    {
        var tenant = await fixture.TenantAsync();
        using var response = await OnStartAsync(async (start, context) =>
        {
            await fixture.Worker.Sandboxes.MarkStartingAsync(start.SandboxId, fixture.Worker.Id, default);
            var aborted = context.RequestAborted;
            _ = Task.Run(async () =>
            {
                await Eventually.HoldsAsync(() => aborted.IsCancellationRequested, "the connection is broken");
                await fixture.Worker.Sandboxes.MarkReadyAsync(
                    start.SandboxId, fixture.Worker.Id, "c", "runc", false, DateTimeOffset.UtcNow, default);
            });
            context.Abort();
            return Results.Empty;
        }, () => tenant.CreateAsync());
        Assert.Equal(201, (int)response.StatusCode);
        Assert.Equal("ready", (await response.JsonAsync()).GetProperty("sandbox").Text("status"));
    }

    [Fact]
    public async Task Create_KilledMeanwhile_AnswersWithTheRecord()
    {
        var tenant = await fixture.TenantAsync();
        using var response = await OnStartAsync(async (start, _) =>
        {
            using var killed = await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{start.SandboxId}", UriKind.Relative));
            Assert.Equal("destroyed", (await killed.JsonAsync()).GetProperty("sandbox").Text("status"));
            return null;
        }, () => tenant.CreateAsync());
        Assert.Equal("destroyed", (await response.JsonAsync()).GetProperty("sandbox").Text("status"));
    }

    [Fact]
    public async Task Create_SameIdempotencyKey_IsTheSameSandbox()
    {
        var tenant = await fixture.TenantAsync();
        tenant.Http.DefaultRequestHeaders.Add("Idempotency-Key", Guid.NewGuid().ToString());
        var first = await tenant.SandboxAsync(new { ttlMs = 60_000 });
        Assert.Equal(first, await tenant.SandboxAsync(new { ttlMs = 60_000 }));
        await tenant.CreateAsync(new { ttlMs = 60_001 }).ErrorAsync(409, "idempotency_key_reused");
    }

    private static Task<HttpResponseMessage> PostAsync(Tenant tenant, string json) => tenant.Http.PostAsync(
        new Uri("/v1/sandboxes", UriKind.Relative), new StringContent(json, System.Text.Encoding.UTF8, "application/json"));

    private async Task<T> OnStartAsync<T>(
        Func<CrowNest.Platform.Nodes.StartSandbox, HttpContext, Task<IResult?>> instead, Func<Task<T>> act)
    {
        fixture.Worker.OnStart = instead;
        try
        {
            return await act();
        }
        finally
        {
            fixture.Worker.OnStart = null;
        }
    }
}
