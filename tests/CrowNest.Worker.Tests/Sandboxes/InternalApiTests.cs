using System.Net;
using System.Net.Http.Headers;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Redis;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

[Trait("Needs", "engine")]
public sealed class InternalApiTests(BackingServices backing)
{
    [Fact]
    public async Task Internal_WithoutTheSecret_IsRefused()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();
        foreach (var header in new[] { null, "Bearer wrong", "Basic a-deployment-secret-of-the-tests-0123456789", "Bearer " })
        {
            using var http = new HttpClient { BaseAddress = node.Http.BaseAddress };
            if (header is not null)
            {
                http.DefaultRequestHeaders.Authorization = AuthenticationHeaderValue.Parse(header);
            }

            using var start = await http.PostAsync("/internal/sandboxes", null);
            using var reconcile = await http.PostAsync($"/internal/sandboxes/{id}/reconcile", null);

            Assert.Equal(HttpStatusCode.Unauthorized, start.StatusCode);
            Assert.Equal(HttpStatusCode.Unauthorized, reconcile.StatusCode);
            Assert.Contains(ErrorCodes.Unauthorized, await reconcile.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Healthz_EngineAndDatabaseThere_IsOk()
    {
        await using var node = await TestNode.StartAsync(backing);
        using var http = new HttpClient { BaseAddress = node.Http.BaseAddress };

        using var response = await http.GetAsync("/healthz");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Reconcile_NothingDue_TellsTheState()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();

        using var response = await node.Http.PostAsync($"/internal/sandboxes/{id}/reconcile", null);
        using var unknown = await node.Http.PostAsync("/internal/sandboxes/sbx_unknown/reconcile", null);

        Assert.Equal("""{"state":"ready"}""", await response.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task Heartbeat_TellsStockAndLoad_AndAStopTakesItBack()
    {
        await using var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "1"), ("Capacity", "7"));
        var registry = node.Get<WorkerRegistry>();
        var (workerId, version) = (node.Node.Id, node.BaseImage.VersionId);
        await node.CreateAsync();

        var snapshot = await Eventually.GivesAsync(
            async () => (await registry.ReadAsync([workerId])).SingleOrDefault(),
            s => s is { Running: 1, Capacity: 7 } && s.WarmByTemplateVersion.GetValueOrDefault(version) == 1, "stock and load",
            TimeSpan.FromSeconds(20));
        Assert.Equal(node.Http.BaseAddress!.ToString().TrimEnd('/'), snapshot!.Url);
        Assert.Equal(4, snapshot.WarmByTemplateVersion.Count);

        await node.StopAsync();
        await using var redis = OpenRedis(node);
        Assert.Empty(await new WorkerRegistry(redis).ReadAsync([workerId]));
    }

    private static RedisConnection OpenRedis(TestNode node) => RedisConnections.Open(node.Redis.ConnectionString);
}
