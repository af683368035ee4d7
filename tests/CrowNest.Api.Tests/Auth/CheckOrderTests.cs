using System.Text;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Auth;

/// <summary>
/// The order of checks of docs/reference/api.md 2.6: a request with every fault gets the first one's error, and so on down.
/// </summary>
public sealed class CheckOrderTests(PostgresFixture postgres, RedisFixture redis)
{
    [Fact]
    public async Task Request_WithEveryFault_IsRefusedByTheFirstCheck()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await using var api = await TestApi.StartAsync(database, redis.ConnectionString, v1 =>
            v1.MapPost("/things/{id}", async (HttpContext context, string id, Caller caller) =>
            {
                if (id == "missing")
                {
                    throw ApiException.NotFound("Thing");
                }

                await RequestBody.ReadAsync(context, context.RequestAborted);
                return new { ok = true };
            }).RequireScope(Scopes.SandboxCreate).HonoursIdempotencyKey(required: true), ("Api:RateLimitPerMinute", "1"));

        HttpRequestMessage Faulty(string route, string? key)
        {
            var request = new HttpRequestMessage(HttpMethod.Post, route) { Content = new StringContent("{", Encoding.UTF8, "text/plain") };
            request.Headers.TryAddWithoutValidation("Authorization", key is null ? null : $"Bearer {key}");
            return request;
        }

        using var client = api.Client(bearer: null);
        var weak = await database.AddKeyAsync(scopes: [Scopes.SandboxRead]);

        await client.SendAsync(Faulty("/v1/nothing", null)).ErrorAsync(404, ErrorCodes.NotFound);
        await client.SendAsync(Faulty("/v1/things/missing", null)).ErrorAsync(401, ErrorCodes.Unauthorized);
        await database.ExecuteAsync("UPDATE organizations SET suspended_at = now()");
        await client.SendAsync(Faulty("/v1/things/missing", weak)).ErrorAsync(403, ErrorCodes.OrgSuspended);
        await client.SendAsync(Faulty("/v1/things/missing", weak)).ErrorAsync(429, ErrorCodes.RateLimited);

        await database.ExecuteAsync("UPDATE organizations SET suspended_at = NULL");
        var error = await client.SendAsync(Faulty("/v1/things/missing", await database.AddKeyAsync([Scopes.SandboxRead])))
            .ErrorAsync(403, ErrorCodes.Forbidden);
        Assert.Equal(Scopes.SandboxCreate, error.GetProperty("details").GetProperty("requiredScope").GetString());
        await client.SendAsync(Faulty("/v1/things/missing", await database.AddKeyAsync())).ErrorAsync(400, ErrorCodes.MissingIdempotencyKey);
        await WithKey("/v1/things/missing", await database.AddKeyAsync()).ErrorAsync(404, ErrorCodes.NotFound);
        await WithKey("/v1/things/there", await database.AddKeyAsync()).ErrorAsync(400, ErrorCodes.InvalidRequest);

        Task<HttpResponseMessage> WithKey(string route, string key)
        {
            var request = Faulty(route, key);
            request.Headers.Add("Idempotency-Key", "k");
            return client.SendAsync(request);
        }
    }

    [Fact]
    public async Task RouteOfV1_WithoutScopeRequirement_IsNotServed()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await using var api = await TestApi.StartAsync(
            database, redis.ConnectionString, v1 => v1.MapGet("/forgotten", () => "open"));
        await api.Client().GetAsync("/v1/forgotten").ErrorAsync(500, ErrorCodes.InternalError);
    }
}
