using System.Net;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests;

[Collection(Backends.Name)]
public sealed class RouteTests(PostgresFixture postgres, RedisFixture redis)
{
    [Fact]
    public async Task Healthz_WithoutCredential_IsOk()
    {
        await using var api = new ApiInstance(await TestDatabase.CreateAsync(postgres), redis.ConnectionString);
        using var response = await api.Client(bearer: null).GetAsync("/healthz");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("ok", (await response.JsonAsync()).GetProperty("status").GetString());
    }
}
