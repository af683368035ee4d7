using System.Diagnostics;
using System.Net;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Xunit;

namespace CrowNest.Api.Tests.Http;

public sealed class RateLimitTests(PostgresFixture postgres, RedisFixture redis)
{
    private const int Limit = 5;

    [Fact]
    public async Task Requests_BeyondTheLimit_AreRateLimitedOnEveryInstance()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await using var first = await StartAsync(database, redis.ConnectionString);
        await using var second = await StartAsync(database, redis.ConnectionString);
        for (var i = 0; i < Limit; i++)
        {
            using var client = (i % 2 == 0 ? first : second).Client();
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/limited")).StatusCode);
        }

        foreach (var api in new[] { first, second })
        {
            using var response = await api.Client().GetAsync("/v1/limited");
            Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
            var error = (await response.JsonAsync()).GetProperty("error");
            Assert.Equal(ErrorCodes.RateLimited, error.GetProperty("code").GetString());
            Assert.InRange(error.GetProperty("details").GetProperty("retryAfterMs").GetInt64(), 1, 60_000 / Limit);
            Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60 / Limit);
        }

        Assert.Equal(HttpStatusCode.OK, (await first.Client().GetAsync("/v1/exempt")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await first.Client(await database.AddKeyAsync()).GetAsync("/v1/limited")).StatusCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Token_OfOneAMinute_IsBackAfterTheWholeMinute(bool shared)
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await using var api = await StartAsync(database, shared ? redis.ConnectionString : $"127.0.0.1:{FreePort.Next()}", limit: 1);
        using var client = api.Client();
        var watch = Stopwatch.StartNew();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/limited")).StatusCode);
        var error = await client.GetAsync("/v1/limited").ErrorAsync(429, ErrorCodes.RateLimited);
        // What has passed since the token was taken is all that may be missing from it.
        Assert.InRange(error.GetProperty("details").GetProperty("retryAfterMs").GetInt64(), 60_000 - watch.ElapsedMilliseconds, 60_000);
    }

    [Fact]
    public async Task Requests_AtOnce_PassAsOftenAsTheBucketHoldsTokens()
    {
        const int Many = 30;
        var database = await TestDatabase.CreateAsync(postgres);
        await using var api = await StartAsync(database, redis.ConnectionString, limit: Many);
        using var client = api.Client();
        var watch = Stopwatch.StartNew();
        var responses = await Task.WhenAll(Enumerable.Range(0, 2 * Many).Select(_ => client.GetAsync("/v1/limited")));
        // A token comes back every two seconds.
        Assert.InRange(responses.Count(r => r.StatusCode == HttpStatusCode.OK), Many, Many + 1 + (int)(watch.Elapsed.TotalSeconds / 2));
    }

    [Fact]
    public async Task Bucket_AfterAWhile_HasATokenAgain()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await using var api = await StartAsync(database, redis.ConnectionString, limit: 60);
        using var client = api.Client();
        // More than a busy machine answers while twenty tokens come back.
        var responses = await Task.WhenAll(Enumerable.Range(0, 80).Select(_ => client.GetAsync("/v1/limited")));
        Assert.Contains(responses, r => r.StatusCode == HttpStatusCode.TooManyRequests);
        await Eventually.HoldsAsync(
            async () => (await client.GetAsync("/v1/limited")).StatusCode == HttpStatusCode.OK, "a token is back", TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task Redis_WhenAwayAndBack_OnlyMakesTheLimitLocal()
    {
        var own = new RedisFixture();
        await own.InitializeAsync();
        try
        {
            var database = await TestDatabase.CreateAsync(postgres);
            await using var api = await StartAsync(database, own.ConnectionString);
            using var client = api.Client();
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/limited")).StatusCode);
            own.Stop();
            for (var i = 0; i < Limit; i++)
            {
                Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/limited")).StatusCode);
            }

            await client.GetAsync("/v1/limited").ErrorAsync(429, ErrorCodes.RateLimited);
            Assert.Contains(api.Logs.All, line => line.Contains("Redis does not answer", StringComparison.Ordinal));

            // Restarted empty: the bucket there is full again.
            await own.StartAsync();
            await Eventually.HoldsAsync(
                async () => (await client.GetAsync("/v1/limited")).StatusCode == HttpStatusCode.OK, "Redis is used again", TimeSpan.FromSeconds(30));
        }
        finally
        {
            await own.DisposeAsync();
        }
    }

    [Fact]
    public async Task Redis_WhenNeverThere_LetsRequestsThrough()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await using var api = await StartAsync(database, $"127.0.0.1:{FreePort.Next()}");
        Assert.Equal(HttpStatusCode.OK, (await api.Client().GetAsync("/v1/limited")).StatusCode);
    }

    private static Task<TestApi> StartAsync(TestDatabase database, string redis, int limit = Limit) =>
        TestApi.StartAsync(database, redis, v1 =>
        {
            v1.MapGet("/limited", () => new { ok = true }).AnyScope();
            v1.MapGet("/exempt", () => new { ok = true }).AnyScope().ExemptFromRateLimit();
        }, ("Api:RateLimitPerMinute", $"{limit}"));
}
