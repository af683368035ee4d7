using System.Net;
using System.Text;
using CrowNest.Api.Http;
using CrowNest.Api.Maintenance;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests.Http;

public sealed class IdempotencyTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TestDatabase _database = null!;
    private TestApi _api = null!;
    private TestApi _second = null!;
    private int _executions;
    private string? _resumed;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync(postgres);
        _api = await TestApi.StartAsync(_database, redis.ConnectionString, Map);
        _second = await TestApi.StartAsync(_database, redis.ConnectionString, Map);
    }

    public async ValueTask DisposeAsync()
    {
        _gate.TrySetResult();
        await _api.DisposeAsync();
        await _second.DisposeAsync();
    }

    [Fact]
    public async Task SameKey_SameRequest_ExecutesOnceAndReplays()
    {
        using var first = await SendAsync(_api, "/v1/count", "k1", "{\"a\":1,\"b\":{\"x\":[1,2],\"y\":\"z\"}}");
        // The same JSON in another order and spacing, through another instance.
        using var again = await SendAsync(_second, "/v1/count", "k1", "{ \"b\": {\"y\":\"z\", \"x\":[1, 2]}, \"a\" : 1 }");
        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(HttpStatusCode.Created, again.StatusCode);
        Assert.Equal(await first.Content.ReadAsStringAsync(), await again.Content.ReadAsStringAsync());
        Assert.False(first.Headers.Contains("Idempotency-Replayed"));
        Assert.True(again.Headers.Contains("Idempotency-Replayed"));
        Assert.Equal(1, _executions);
    }

    [Fact]
    public async Task SameKey_DifferentRequest_IsReused()
    {
        await SendAsync(_api, "/v1/count", "k1", "{\"a\":1}");
        await SendAsync(_api, "/v1/count", "k1", "{\"a\":2}").ErrorAsync(409, ErrorCodes.IdempotencyKeyReused);
        await SendAsync(_api, "/v1/count?x=1", "k1", "{\"a\":1}").ErrorAsync(409, ErrorCodes.IdempotencyKeyReused);
        await SendAsync(_api, "/v1/count", "k1", "not json").ErrorAsync(409, ErrorCodes.IdempotencyKeyReused);
        Assert.Equal(1, _executions);
    }

    [Fact]
    public async Task SameKey_OtherCredentialOrRoute_IsAnotherRecord()
    {
        await SendAsync(_api, "/v1/count", "k1", "{}");
        await SendAsync(_api, "/v1/count", "k1", "{}", await _database.AddKeyAsync());
        await SendAsync(_api, "/v1/count/other", "k1", "{}");
        await SendAsync(_api, "/v1/count", null, "{}");
        await SendAsync(_api, "/v1/count", null, "{}");
        Assert.Equal(5, _executions);
    }

    [Fact]
    public async Task SameKey_WhileExecuting_IsInProgressAndThenReplayed()
    {
        var original = SendAsync(_api, "/v1/gated", "k1", "{}");
        await Eventually.HoldsAsync(() => _executions == 1, "the original executes");
        await SendAsync(_second, "/v1/gated", "k1", "{}").ErrorAsync(409, ErrorCodes.IdempotencyRequestInProgress);
        _gate.SetResult();
        Assert.Equal(HttpStatusCode.OK, (await original).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(_second, "/v1/gated", "k1", "{}")).StatusCode);
        Assert.Equal(1, _executions);
    }

    [Fact]
    public async Task SameKey_FiftyAtOnceOnTwoInstances_ExecutesOnce()
    {
        _gate.SetResult();
        var responses = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => SendAsync(i % 2 == 0 ? _api : _second, "/v1/gated", "k1", "{}")));
        Assert.Equal(1, _executions);
        Assert.All(responses, r => Assert.True(r.StatusCode is HttpStatusCode.OK or HttpStatusCode.Conflict));
        Assert.Contains(responses, r => r.StatusCode == HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("/v1/refused", 400)]
    [InlineData("/v1/conflict", 409)]
    [InlineData("/v1/result404", 404)]
    [InlineData("/v1/broken", 500)]
    public async Task Key_OfRefusedOrFailedRequest_MayBeUsedAgain(string route, int status)
    {
        Assert.Equal(status, (int)(await SendAsync(_api, route, "k1", "{\"a\":1}")).StatusCode);
        Assert.Equal(status, (int)(await SendAsync(_api, route, "k1", "{\"a\":2}")).StatusCode);
        Assert.Equal(2, _executions);
        Assert.Equal(0, await CountAsync());
    }

    [Fact]
    public async Task Request_ThatBrokeOffAfterItMadeSomething_IsResumedAndNotExecutedAgain()
    {
        Assert.Equal(500, (int)(await SendAsync(_api, "/v1/makes", "k1", "{}")).StatusCode);
        Assert.Equal(1, await CountAsync());
        using var retry = await SendAsync(_second, "/v1/makes", "k1", "{}");
        Assert.Equal(HttpStatusCode.OK, retry.StatusCode);
        Assert.Equal("sbx_made", _resumed);
        Assert.Equal(1, _executions);
        Assert.True((await SendAsync(_api, "/v1/makes", "k1", "{}")).Headers.Contains("Idempotency-Replayed"));
    }

    [Fact]
    public async Task Lease_OfLostInstance_BlocksOnlyUntilItLapses()
    {
        await ClaimAsLostInstanceAsync(resourceId: null);
        await SendAsync(_api, "/v1/count", "k1", "{}").ErrorAsync(409, ErrorCodes.IdempotencyRequestInProgress);
        await _database.ExecuteAsync("UPDATE idempotency_records SET locked_until = now() - interval '1 second'");
        Assert.Equal(HttpStatusCode.Created, (await SendAsync(_api, "/v1/count", "k1", "{}")).StatusCode);
        Assert.Equal(1, _executions);
        Assert.Null(_resumed);
    }

    [Fact]
    public async Task Lease_OfLostInstanceThatMadeSomething_HandsItToTheRetry()
    {
        await ClaimAsLostInstanceAsync(resourceId: "sbx_lost");
        await _database.ExecuteAsync("UPDATE idempotency_records SET locked_until = now() - interval '1 second'");
        await SendAsync(_api, "/v1/count", "k1", "{\"other\":1}").ErrorAsync(409, ErrorCodes.IdempotencyKeyReused);
        await SendAsync(_api, "/v1/count", "k1", "{}");
        Assert.Equal("sbx_lost", _resumed);
        Assert.Equal(0, _executions);
    }

    [Fact]
    public async Task Lease_LostToAnother_NeitherRenewsNorSaves()
    {
        await using var source = NpgsqlDataSource.Create(_database.ConnectionString);
        var store = new IdempotencyStore(source);
        byte[] id = [1], fingerprint = [2];
        var lost = (await store.ClaimAsync(id, fingerprint, default)).Lease!;
        await _database.ExecuteAsync("UPDATE idempotency_records SET locked_until = now()");
        var owner = (await store.ClaimAsync(id, fingerprint, default)).Lease!;
        Assert.False(await store.RenewAsync(lost, default));
        await store.SaveAsync(lost, new StoredResponse(200, [9]), default);
        await store.ForgetAsync(lost, default);
        await store.ReleaseAsync(lost, default);
        Assert.True(await store.RenewAsync(owner, default));
        await store.SaveAsync(owner, new StoredResponse(201, [7]), default);
        var stored = (await store.ClaimAsync(id, fingerprint, default)).Stored!;
        Assert.Equal(201, stored.Status);
        Assert.Equal([7], stored.Body);
    }

    [Fact]
    public async Task Key_AfterADay_IsForgotten()
    {
        await SendAsync(_api, "/v1/count", "k1", "{\"a\":1}");
        await _database.ExecuteAsync("UPDATE idempotency_records SET created_at = now() - interval '25 hours', resource_id = 'sbx_old'");
        Assert.Equal(HttpStatusCode.Created, (await SendAsync(_api, "/v1/count", "k1", "{\"a\":2}")).StatusCode);
        Assert.Equal(2, _executions);
        Assert.Null(_resumed);

        await _database.ExecuteAsync("UPDATE idempotency_records SET created_at = now() - interval '25 hours'");
        await SendAsync(_api, "/v1/count", "k2", "{}");
        await using var source = NpgsqlDataSource.Create(_database.ConnectionString);
        using var cleanup = new IdempotencySweeper(new IdempotencyStore(source), TimeProvider.System, NullLogger<IdempotencySweeper>.Instance);
        await cleanup.StartAsync(default);
        await Eventually.HoldsAsync(async () => await CountAsync() == 1, "the old record is deleted and the new one is not");
        await cleanup.StopAsync(default);
    }

    [Fact]
    public async Task Key_OfWrongLength_IsInvalidRequest()
    {
        await SendAsync(_api, "/v1/count", "", "{}").ErrorAsync(400, ErrorCodes.InvalidRequest);
        await SendAsync(_api, "/v1/count", new string('k', 256), "{}").ErrorAsync(400, ErrorCodes.InvalidRequest);
        Assert.Equal(HttpStatusCode.Created, (await SendAsync(_api, "/v1/count", new string('k', 255), "{}")).StatusCode);
    }

    [Fact]
    public async Task Key_OnRouteThatIgnoresIt_IsIgnored()
    {
        await SendAsync(_api, "/v1/ignores", "k1", "{}");
        await SendAsync(_api, "/v1/ignores", "k1", "{}");
        Assert.Equal(2, _executions);
    }

    [Fact]
    public async Task ClientThatLeaves_AfterSomethingWasMade_FindsItAgain()
    {
        using var leaving = new CancellationTokenSource();
        var original = SendAsync(_api, "/v1/slowly-makes", "k1", "{}", cancellationToken: leaving.Token);
        await Eventually.HoldsAsync(() => _executions == 1, "the original executes");
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => original);
        await Eventually.HoldsAsync(
            async () => (await SendAsync(_second, "/v1/slowly-makes", "k1", "{}")).StatusCode == HttpStatusCode.OK, "the key is free again");
        Assert.Equal("sbx_made", _resumed);
        Assert.Equal(1, _executions);
    }

    private void Map(RouteGroupBuilder v1)
    {
        Add("/count", context => Results.Json(new { n = Interlocked.Increment(ref _executions) }, statusCode: 201));
        Add("/count/other", context => Results.Json(new { n = Interlocked.Increment(ref _executions) }, statusCode: 201));
        Add("/refused", context => Refuse(ErrorCodes.InvalidRequest));
        Add("/conflict", context => Refuse(ErrorCodes.Conflict));
        Add("/result404", context =>
        {
            Interlocked.Increment(ref _executions);
            return Results.StatusCode(404);
        });
        Add("/broken", context =>
        {
            Interlocked.Increment(ref _executions);
            throw new InvalidOperationException("broken");
        });
        v1.MapPost("/ignores", () => new { n = Interlocked.Increment(ref _executions) }).AnyScope();
        v1.MapPost("/gated", async () =>
        {
            Interlocked.Increment(ref _executions);
            await _gate.Task;
            return new { ok = true };
        }).AnyScope().HonoursIdempotencyKey();
        v1.MapPost("/makes", async (HttpContext context) =>
        {
            await MakeAsync(context);
            throw new InvalidOperationException("The instance dies after the row was written.");
        }).AnyScope().HonoursIdempotencyKey().AddEndpointFilter(Resume);
        v1.MapPost("/slowly-makes", async (HttpContext context, CancellationToken cancellationToken) =>
        {
            await MakeAsync(context);
            await _gate.Task.WaitAsync(cancellationToken);
        }).AnyScope().HonoursIdempotencyKey().AddEndpointFilter(Resume);

        void Add(string route, Func<HttpContext, IResult> handle) =>
            v1.MapPost(route, handle).AnyScope().HonoursIdempotencyKey().AddEndpointFilter(Resume);

        IResult Refuse(string code)
        {
            Interlocked.Increment(ref _executions);
            throw new ApiException(code, "Refused.");
        }
    }

    /// <summary>What handlers do: note the resource in the record, in the statement that makes it.</summary>
    private async Task MakeAsync(HttpContext context)
    {
        await using var command = context.RequestServices.GetRequiredService<NpgsqlDataSource>()
            .CreateCommand("UPDATE idempotency_records SET resource_id = 'sbx_made' WHERE id = @id");
        command.Parameters.AddWithValue("id", context.GetIdempotencyId()!);
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        Interlocked.Increment(ref _executions);
    }

    private async ValueTask<object?> Resume(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        if (context.HttpContext.GetIdempotentResourceId() is not { } resource)
        {
            return await next(context);
        }

        _resumed = resource;
        return Results.Json(new { resource });
    }

    private async Task ClaimAsLostInstanceAsync(string? resourceId)
    {
        // The record that the real request would claim, found by letting it be claimed and refused half way.
        await SendAsync(_api, "/v1/count", "k1", "{}");
        Interlocked.Exchange(ref _executions, 0);
        var resource = resourceId is null ? "NULL" : $"'{resourceId}'";
        Assert.Equal(1, await _database.ExecuteAsync($"""
            UPDATE idempotency_records SET response_status = NULL, response_body = NULL, resource_id = {resource},
                locked_until = now() + interval '30 seconds'
            """));
    }

    private async Task<long> CountAsync()
    {
        await using var database = _database.Open();
        return database.IdempotencyRecords.LongCount();
    }

    private static Task<HttpResponseMessage> SendAsync(
        TestApi api, string route, string? key, string json, string bearer = TestDatabase.Key, CancellationToken cancellationToken = default)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, route) { Content = new StringContent(json, Encoding.UTF8, "application/json") };
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        }

        return api.Client(bearer).SendAsync(request, cancellationToken);
    }
}
