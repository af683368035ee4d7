using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Http;

/// <summary>Routes that fail in every way, for all tests of the envelope.</summary>
public sealed class FailingRoutes(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    internal TestApi Api { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        Api = await TestApi.StartAsync(database, redis.ConnectionString, v1 =>
        {
            v1.MapPost("/boxes", async (HttpContext context) =>
            {
                var request = await RequestBody.ReadAsync<CreateSandboxRequest>(context, context.RequestAborted);
                return new { request.TtlMs, request.Template };
            }).AnyScope();
            v1.MapPost("/optional", async (HttpContext context) =>
                new { mode = (await RequestBody.ReadAsync<CancelCommandRequest>(context, context.RequestAborted, optional: true)).Mode ?? "graceful" })
                .AnyScope();
            v1.MapGet("/fails", IResult () => throw new InvalidOperationException("/secret/path leaks")).AnyScope();
            v1.MapGet("/codes/{code}", IResult (string code) => throw new ApiException(code, "As asked.")).AnyScope();
            v1.MapGet("/number/{n:int}", (int n, int q) => new { n, q }).AnyScope();
            v1.MapGet("/half", async (HttpContext context) =>
            {
                await context.Response.WriteAsync("half");
                await context.Response.Body.FlushAsync();
                throw new ApiException(ErrorCodes.Conflict, "Too late.");
            }).AnyScope();
        });
    }

    public async ValueTask DisposeAsync() => await Api.DisposeAsync();
}

public sealed class EnvelopeTests(RedisFixture redis, FailingRoutes routes) : IClassFixture<FailingRoutes>
{
    private readonly TestApi _api = routes.Api;
    private readonly HttpClient _client = routes.Api.Client();

    public static TheoryData<string, int> Codes()
    {
        var data = new TheoryData<string, int>();
        foreach (var (code, status) in ErrorStatus.All)
        {
            data.Add(code, status);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public async Task Code_WhenThrown_HasItsStatus(string code, int status) =>
        await _client.GetAsync($"/v1/codes/{code}").ErrorAsync(status, code);

    [Fact]
    public void ErrorCodes_EachOne_HasAStatus()
    {
        var codes = typeof(ErrorCodes).GetFields().Select(f => (string)f.GetRawConstantValue()!);
        Assert.Equal(codes.Order(), ErrorStatus.All.Keys.Order());
    }

    [Theory]
    [InlineData("GET", "/nothing", 404)]
    [InlineData("GET", "/v1", 404)]
    [InlineData("POST", "/v1/nothing/at/all", 404)]
    [InlineData("GET", "/v1/number/x", 404)]
    [InlineData("PATCH", "/v1/boxes", 405)]
    [InlineData("OPTIONS", "/v1/boxes", 405)]
    [InlineData("DELETE", "/v1/fails", 405)]
    public async Task Route_UnknownOrWithWrongMethod_IsAnEnvelope(string method, string path, int status)
    {
        using var client = _api.Client(bearer: null);
        using var response = await client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
        Assert.Equal(status, (int)response.StatusCode);
        if (status == 405)
        {
            Assert.NotEmpty(response.Content.Headers.Allow);
        }
    }

    [Theory]
    [InlineData("{\"ttlMs\":\"60000\"}", "ttlMs")]
    [InlineData("{\"ttlMs\":1.5}", "ttlMs")]
    [InlineData("{\"ttlMs\":1e400}", "ttlMs")]
    [InlineData("{\"ttlMs\":99999999999999999999}", "ttlMs")]
    [InlineData("{\"ttlMs\":true}", "ttlMs")]
    [InlineData("{\"template\":1}", "template")]
    [InlineData("{\"resources\":{\"cpus\":\"4\"}}", "resources.cpus")]
    [InlineData("{\"resources\":[]}", "resources")]
    [InlineData("{\"metadata\":[]}", "metadata")]
    [InlineData("{\"template\":\"a\\u0000b\"}", "template")]
    [InlineData("{\"unknown\":[{\"a\":\"\\u0000\"}]}", "unknown[0].a")]
    [InlineData("{\"template\":\"\\ud800\"}", "template")]
    public async Task Body_WithWrongMember_NamesIt(string json, string field)
    {
        var error = await _client.PostAsync("/v1/boxes", new StringContent(json)).ErrorAsync(400, ErrorCodes.InvalidRequest);
        Assert.Equal(field, error.GetProperty("details").GetProperty("field").GetString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"text\"")]
    [InlineData("{} {}")]
    [InlineData("{\"a\":1,\"a\":2}")]
    [InlineData("{'a':1}")]
    public async Task Body_ThatIsNoJsonObject_IsInvalidRequest(string json) =>
        await _client.PostAsync("/v1/boxes", new StringContent(json)).ErrorAsync(400, ErrorCodes.InvalidRequest);

    [Fact]
    public async Task Body_WithInvalidUtf8OrTooDeep_IsInvalidRequest()
    {
        byte[] broken = [.. "{\"template\":\""u8, 0xff, 0xfe, .. "\"}"u8];
        await _client.PostAsync("/v1/boxes", new ByteArrayContent(broken)).ErrorAsync(400, ErrorCodes.InvalidRequest);
        var deep = "{\"a\":" + new string('[', 1000) + new string(']', 1000) + "}";
        await _client.PostAsync("/v1/boxes", new StringContent(deep)).ErrorAsync(400, ErrorCodes.InvalidRequest);
    }

    [Fact]
    public async Task Body_WithMetadataThatIsNoString_IsInvalidMetadataValue() =>
        await _client.PostAsync("/v1/boxes", new StringContent("{\"metadata\":{\"a.b\":5}}")).ErrorAsync(400, ErrorCodes.InvalidMetadataValue);

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/json; charset=utf-8")]
    [InlineData(null)]
    public async Task Body_WithAnyContentType_IsRead(string? contentType)
    {
        var content = new ByteArrayContent("{\"ttlMs\":5,\"_unknown\":{\"x\":1},\"template\":null}"u8.ToArray());
        content.Headers.ContentType = contentType is null ? null : MediaTypeHeaderValue.Parse(contentType);
        Assert.Equal(5, (await _client.PostAsync("/v1/boxes", content).JsonAsync()).GetProperty("ttlMs").GetInt64());
    }

    [Fact]
    public async Task Body_LeftOutWhereOptional_CountsAsEmptyObject()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/optional");
        Assert.Equal("graceful", (await _client.SendAsync(request).JsonAsync()).GetProperty("mode").GetString());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Body_OfMoreThanOneMebibyte_Is413(bool chunked)
    {
        var json = "{\"template\":\"" + new string('x', Limits.JsonBodyBytes) + "\"}";
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/boxes") { Content = new StringContent(json) };
        request.Headers.TransferEncodingChunked = chunked;
        await _client.SendAsync(request).ErrorAsync(413, ErrorCodes.InvalidRequest);
    }

    [Fact]
    public async Task Body_OfAlmostOneMebibyte_IsRead()
    {
        var json = "{\"template\":\"" + new string('x', Limits.JsonBodyBytes - 15) + "\"}";
        Assert.Equal(Limits.JsonBodyBytes, Encoding.UTF8.GetByteCount(json));
        Assert.Equal(HttpStatusCode.OK, (await _client.PostAsync("/v1/boxes", new StringContent(json))).StatusCode);
    }

    [Fact]
    public async Task Request_WithOversizeQueryOrHeaders_IsInvalidRequest()
    {
        await _client.GetAsync("/v1/projects?limit=" + new string('1', 40_000)).ErrorAsync(404, ErrorCodes.NotFound);
        await _client.GetAsync("/v1/number/1?q=" + new string('1', 40_000)).ErrorAsync(400, ErrorCodes.InvalidRequest);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/number/1?q=1");
        request.Headers.Add("X-Long", new string('x', 60_000));
        await _client.SendAsync(request).ErrorAsync(400, ErrorCodes.InvalidRequest);
    }

    [Theory]
    [InlineData("/v1/number/1?q=%00")]
    [InlineData("/v1/number/1?q=1&%00x=1")]
    [InlineData("/v1/number/1?q=abc")]
    [InlineData("/v1/number/1")]
    public async Task Query_ThatCannotBeRead_IsInvalidRequest(string path) =>
        await _client.GetAsync(path).ErrorAsync(400, ErrorCodes.InvalidRequest);

    [Fact]
    public async Task Handler_ThatFails_IsInternalErrorWithoutDetailAndLogged()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/fails");
        request.Headers.Add("X-Request-Id", "trace-me.1:2");
        var error = await _client.SendAsync(request).ErrorAsync(500, ErrorCodes.InternalError);
        Assert.DoesNotContain("secret", error.GetRawText(), StringComparison.Ordinal);
        Assert.False(error.TryGetProperty("details", out _));
        Assert.Contains(_api.Logs.All, line => line.Contains("/secret/path leaks", StringComparison.Ordinal)
            && line.Contains("crownest.request_id=trace-me.1:2", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Handler_ThatFailsHalfWay_BreaksTheConnectionOff()
    {
        // The reset may overtake the headers.
        await Assert.ThrowsAsync<HttpRequestException>(() => _client.GetAsync("/v1/half"));
    }

    [Theory]
    [InlineData("mine-1", true)]
    [InlineData("has space", false)]
    [InlineData("line\tbreak", false)]
    public async Task RequestId_GivenByTheCaller_IsReturnedWhenSane(string id, bool kept)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/nothing");
        request.Headers.TryAddWithoutValidation("X-Request-Id", id);
        using var response = await _client.SendAsync(request);
        var returned = response.Headers.GetValues("X-Request-Id").Single();
        Assert.Equal(kept, returned == id);
        Assert.Matches("^[A-Za-z0-9_.:-]+$", returned);
    }

    [Fact]
    public async Task Postgres_WhenAway_IsInternalErrorAtOnce()
    {
        var own = new PostgresFixture();
        var stopped = false;
        try
        {
            await using var api = new ApiInstance(await TestDatabase.CreateAsync(own), redis.ConnectionString);
            using var client = api.Client();
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/projects")).StatusCode);
            await own.DisposeAsync();
            stopped = true;
            var watch = Stopwatch.StartNew();
            await client.GetAsync("/v1/projects").ErrorAsync(500, ErrorCodes.InternalError);
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(3), $"{watch.Elapsed}");
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/healthz")).StatusCode);
        }
        finally
        {
            if (!stopped)
            {
                await own.DisposeAsync();
            }
        }
    }
}
