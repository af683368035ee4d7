using System.Net.Http.Json;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests.Sandboxes;

public sealed class SandboxKillTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Kill_Ready_IsDestroyedByTheUser()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        var sandbox = await KillAsync(tenant, id);
        Assert.Equal(("destroyed", "user_killed"), (sandbox.Text("status"), sandbox.Text("destroyedReason")));
        Assert.True(sandbox.Time("destroyedAt") >= sandbox.Time("createdAt"));
        Assert.Equal(sandbox.GetRawText(), (await KillAsync(tenant, id)).GetRawText());
        Assert.Equal(sandbox.GetRawText(), (await tenant.GetAsync($"/v1/sandboxes/{id}", "sandbox")).GetRawText());
    }

    [Fact]
    public async Task Kill_Failed_IsReturnedUnchanged()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        await fixture.Worker.Sandboxes.MarkFailedAsync(id, "The runtime was lost.", DateTimeOffset.UtcNow, default);
        var sandbox = await KillAsync(tenant, id);
        Assert.Equal("failed", sandbox.Text("status"));
        Assert.False(sandbox.Has("destroyedReason"));
    }

    [Fact]
    public async Task Kill_WhileItExpires_KeepsTheReason()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        await fixture.Worker.Sandboxes.MarkExpiringAsync(id, DestroyedReason.TtlExpired, default);
        Assert.Equal("expiring", await tenant.StatusAsync(id));
        Assert.False((await tenant.GetAsync($"/v1/sandboxes/{id}", "sandbox")).Has("destroyedReason"));
        Assert.Equal("ttl_expired", (await KillAsync(tenant, id)).Text("destroyedReason"));
    }

    [Fact]
    public async Task Kill_WithRunningCommand_EndsItAsKilled()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        var command = await tenant.CommandAsync(id, "out x; hang");
        await KillAsync(tenant, id);
        var ended = await tenant.GetAsync($"/v1/commands/{command}", "command");
        Assert.Equal(("killed", "sandbox_destroyed"), (ended.Text("status"), ended.Text("killedReason")));
        Assert.False(ended.Has("exitCode"));
    }

    [Fact]
    public async Task Kill_ForeignOrWithoutScope_IsRefused()
    {
        var tenant = await fixture.TenantAsync();
        var foreign = await (await fixture.TenantAsync()).SandboxAsync();
        await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{foreign}", UriKind.Relative)).ErrorAsync(404, "not_found");
        using var reader = await tenant.WithKeyAsync([Scopes.SandboxRead]);
        await reader.DeleteAsync(new Uri($"/v1/sandboxes/{foreign}", UriKind.Relative)).ErrorAsync(403, "forbidden");
    }

    [Fact]
    public async Task Kill_NodeIsRestarting_WaitsForIt()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        await fixture.Worker.StopListeningAsync();
        var killing = KillAsync(tenant, id);
        await Eventually.HoldsAsync(async () => await tenant.StatusAsync(id) == "expiring", "the kill is marked");
        await fixture.Worker.ListenAsync();
        Assert.Equal("destroyed", (await killing).Text("status"));
    }

    [Fact]
    public async Task Kill_NodeIsLost_EndsWithItsLease()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        await fixture.Worker.StopListeningAsync();
        try
        {
            var killing = KillAsync(tenant, id);
            await Eventually.HoldsAsync(async () => await tenant.StatusAsync(id) == "expiring", "the kill is marked");
            await fixture.Worker.RenewLeaseAsync(TimeSpan.FromSeconds(-1));
            var sandbox = await killing;
            Assert.Equal(("destroyed", "user_killed"), (sandbox.Text("status"), sandbox.Text("destroyedReason")));
        }
        finally
        {
            await fixture.Worker.ListenAsync();
            await fixture.Worker.RenewLeaseAsync(TimeSpan.FromMinutes(10));
        }
    }

    [Fact]
    public async Task Kill_NodeDoesNotConfirm_Is500AfterTheWait()
    {
        await using var api = fixture.StartApi(("Api:Sandboxes:KillWait", "00:00:01"));
        var tenant = await fixture.TenantAsync(api: api);
        var id = await tenant.SandboxAsync();
        await fixture.Worker.StopListeningAsync();
        try
        {
            await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{id}", UriKind.Relative)).ErrorAsync(500, "runtime_error");
        }
        finally
        {
            await fixture.Worker.ListenAsync();
        }

        Assert.Equal("destroyed", (await KillAsync(tenant, id)).Text("status"));
    }

    [Theory]
    [InlineData("builder", 86_400_000)]
    [InlineData("free", 3_500_000)]
    public async Task Extend_WithinTheCeilings_ResetsTheLifetime(string plan, long ttlMs)
    {
        var tenant = await fixture.TenantAsync(plan);
        var id = await tenant.SandboxAsync(new { ttlMs = 60_000 });
        // Made this moment: with any age, a lifetime at the extend ceiling would be above the session ceiling.
        await fixture.Database.ExecuteAsync($"UPDATE sandboxes SET created_at = now() + interval '10 seconds' WHERE id = '{id}'");
        var before = DateTimeOffset.UtcNow;
        var sandbox = (await ExtendAsync(tenant, id, new { ttlMs }).JsonAsync()).GetProperty("sandbox");
        Assert.Equal(ttlMs, sandbox.Number("ttlMs"));
        Assert.InRange(sandbox.Time("expiresAt"), before.AddMilliseconds(ttlMs - 1), DateTimeOffset.UtcNow.AddMilliseconds(ttlMs));
        var shorter = (await ExtendAsync(tenant, id, new { ttlMs = 1000 }).JsonAsync()).GetProperty("sandbox");
        Assert.True(shorter.Time("expiresAt") < sandbox.Time("expiresAt"));
    }

    [Fact]
    public async Task Extend_AboveACeiling_IsRefused()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        var error = await ExtendAsync(tenant, id, new { ttlMs = 86_400_001 }).ErrorAsync(400, "sandbox_ttl_exceeded");
        Assert.Equal("ttlMs", error.GetProperty("details").Text("field"));
        await fixture.Database.ExecuteAsync($"UPDATE sandboxes SET created_at = now() - interval '23 hours' WHERE id = '{id}'");
        error = await ExtendAsync(tenant, id, new { ttlMs = 3_600_001 }).ErrorAsync(400, "sandbox_ttl_exceeded");
        Assert.InRange(error.GetProperty("details").Number("max"), 3_590_000, 3_600_000);
        using var within = await ExtendAsync(tenant, id, new { ttlMs = 3_500_000 });
        Assert.Equal(200, (int)within.StatusCode);
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"ttlMs":0}""")]
    [InlineData("""{"ttlMs":"1000"}""")]
    public async Task Extend_WrongTtl_IsNamed(string body)
    {
        var tenant = await fixture.TenantAsync();
        var uri = new Uri($"/v1/sandboxes/{await tenant.SandboxAsync()}/extend", UriKind.Relative);
        var error = await tenant.Http.PostAsync(uri, new StringContent(body)).ErrorAsync(400, "invalid_request");
        Assert.Equal("ttlMs", error.GetProperty("details").Text("field"));
    }

    [Fact]
    public async Task Extend_NotLive_IsGone()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.SandboxAsync();
        await fixture.Database.ExecuteAsync($"UPDATE sandboxes SET expires_at = now() - interval '1 second' WHERE id = '{id}'");
        var error = await ExtendAsync(tenant, id, new { ttlMs = 1000 }).ErrorAsync(410, "sandbox_destroyed");
        Assert.Equal("expiring", error.GetProperty("details").Text("status"));
        await KillAsync(tenant, id);
        error = await ExtendAsync(tenant, id, new { ttlMs = 1000 }).ErrorAsync(410, "sandbox_destroyed");
        Assert.Equal("destroyed", error.GetProperty("details").Text("status"));
        await ExtendAsync(tenant, "sbx_unknown", new { }).ErrorAsync(404, "not_found");
    }

    [Fact]
    public async Task Extend_SwitchedOff_IsAFeatureThatIsNotThere()
    {
        await using var api = fixture.StartApi(("Api:Sandboxes:AllowExtend", "false"));
        var tenant = await fixture.TenantAsync(api: api);
        await ExtendAsync(tenant, await tenant.SandboxAsync(), new { ttlMs = 1000 }).ErrorAsync(403, "feature_not_enabled");
    }

    private static Task<HttpResponseMessage> ExtendAsync(Tenant tenant, string id, object body) =>
        tenant.Http.PostAsJsonAsync($"/v1/sandboxes/{id}/extend", body);

    private static async Task<System.Text.Json.JsonElement> KillAsync(Tenant tenant, string id) =>
        (await tenant.Http.DeleteAsync(new Uri($"/v1/sandboxes/{id}", UriKind.Relative)).JsonAsync()).GetProperty("sandbox");
}
