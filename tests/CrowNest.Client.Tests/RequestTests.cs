using System.Net;
using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.Client.Tests;

public sealed class RequestTests
{
    [Fact]
    public async Task Create_Success_SendsContractAndReadsSandbox()
    {
        await using var server = await ApiServer.StartAsync(201, $$"""{"sandbox":{{Samples.Sandbox}}}""");

        var sandbox = await server.Client().Sandboxes.CreateAsync(new CreateSandboxRequest { Template = "base", TtlMs = 60_000 });

        Assert.Equal(Samples.SandboxId, sandbox.Id);
        Assert.Equal("c", sandbox.Metadata["a.b"]);
        Assert.Equal(new DateTimeOffset(2026, 11, 22, 10, 1, 0, TimeSpan.Zero), sandbox.ExpiresAt);
        var request = Assert.Single(server.Requests);
        Assert.Equal(("POST", "/v1/sandboxes"), (request.Method, request.Target));
        Assert.Equal("Bearer cn_live_test", request.Headers["Authorization"]);
        Assert.Equal("application/json", request.Headers["Accept"]);
        Assert.True(Guid.TryParse(request.Headers["Idempotency-Key"], out _));
        Assert.Equal("""{"template":"base","ttlMs":60000}""", request.Body);
    }

    [Fact]
    public async Task Create_NothingGiven_SendsEmptyObject()
    {
        await using var server = await ApiServer.StartAsync(201, $$"""{"sandbox":{{Samples.Sandbox}}}""");

        await server.Client().Sandboxes.CreateAsync(idempotencyKey: "mine");

        var request = Assert.Single(server.Requests);
        Assert.Equal("{}", request.Body);
        Assert.Equal("mine", request.Headers["Idempotency-Key"]);
    }

    [Fact]
    public async Task PathPrefix_InBaseUrl_IsKept()
    {
        await using var server = await ApiServer.StartAsync(200, $$"""{"sandbox":{{Samples.Sandbox}}}""");

        await server.Client("/crownest///").Sandboxes.GetAsync(Samples.SandboxId);

        Assert.Equal($"/crownest/v1/sandboxes/{Samples.SandboxId}", Assert.Single(server.Requests).Target);
    }

    [Fact]
    public async Task List_AllFilters_AreQueryParameters()
    {
        await using var server = await ApiServer.StartAsync(200, """{"data":[],"hasMore":false}""");

        await server.Client().Sandboxes.ListAsync(new ListSandboxesOptions
        {
            IncludeHistorical = true,
            Status = "failed",
            ProjectId = "prj_1",
            Limit = 7,
            Cursor = "a&b",
            Metadata = new Dictionary<string, string> { ["k.1"] = "x y" },
        });

        Assert.Equal(
            "/v1/sandboxes?include=historical&status=failed&projectId=prj_1&limit=7&cursor=a%26b&metadata.k.1=x%20y",
            Assert.Single(server.Requests).Target);
    }

    [Fact]
    public async Task ListAll_SeveralPages_FollowsCursor()
    {
        await using var server = await ApiServer.StartAsync(context => context.Response.WriteJsonAsync(
            context.Request.Query.ContainsKey("cursor")
                ? $$"""{"data":[{{Samples.Sandbox}}],"hasMore":false}"""
                : $$"""{"data":[{{Samples.Sandbox}}],"hasMore":true,"nextCursor":"next"}"""));

        var count = 0;
        await foreach (var _ in server.Client().Sandboxes.ListAllAsync())
            count++;

        Assert.Equal(2, count);
        Assert.Equal(["/v1/sandboxes", "/v1/sandboxes?cursor=next"], server.Requests.Select(r => r.Target));
    }

    [Fact]
    public async Task EachOperation_Called_UsesItsRoute()
    {
        await using var server = await ApiServer.StartAsync(context =>
        {
            var path = context.Request.Path.Value!;
            return context.Response.WriteJsonAsync(path switch
            {
                _ when path.EndsWith("download-url", StringComparison.Ordinal) =>
                    """{"url":"http://x/y","method":"GET","expiresAt":"2026-11-22T10:00:00.000Z"}""",
                _ when context.Request.Method == "GET" && (path.EndsWith("commands", StringComparison.Ordinal)
                    || path.EndsWith("logs", StringComparison.Ordinal) || path.EndsWith("projects", StringComparison.Ordinal)
                    || path.EndsWith("templates", StringComparison.Ordinal)) => """{"data":[],"hasMore":false}""",
                _ when path.Contains("commands", StringComparison.Ordinal) => $$"""{"command":{{Samples.Command()}}}""",
                _ when path.Contains("templates", StringComparison.Ordinal) =>
                    """{"template":{"id":"tpl_base","slug":"base","description":"d"}}""",
                _ => $$"""{"sandbox":{{Samples.Sandbox}}}""",
            });
        });
        var client = server.Client();

        await client.Sandboxes.ExtendAsync(Samples.SandboxId, TimeSpan.FromMinutes(1));
        await client.Sandboxes.KillAsync(Samples.SandboxId);
        await client.Commands.RunAsync(Samples.SandboxId, new RunCommandRequest { Command = "true" });
        await client.Commands.StartAsync(Samples.SandboxId, new RunCommandRequest { Command = "true" });
        await client.Commands.ListAsync(Samples.SandboxId, 5);
        await client.Commands.GetAsync(Samples.CommandId);
        await client.Commands.CancelAsync(Samples.CommandId);
        await client.Commands.CancelAsync(Samples.CommandId, CancelMode.Force);
        await client.Commands.LogsAsync(Samples.CommandId, afterSeq: 3);
        await client.Commands.GetLogDownloadUrlAsync(Samples.CommandId);
        await client.Projects.ListAsync();
        await client.Templates.ListAsync();
        await client.Templates.GetAsync("base");

        Assert.Equal(
            [
                $"POST /v1/sandboxes/{Samples.SandboxId}/extend {{\"ttlMs\":60000}} I",
                $"DELETE /v1/sandboxes/{Samples.SandboxId}  -",
                $"POST /v1/sandboxes/{Samples.SandboxId}/commands/run {{\"command\":\"true\"}} I",
                $"POST /v1/sandboxes/{Samples.SandboxId}/commands/start {{\"command\":\"true\"}} I",
                $"GET /v1/sandboxes/{Samples.SandboxId}/commands?limit=5  -",
                $"GET /v1/commands/{Samples.CommandId}  -",
                $"POST /v1/commands/{Samples.CommandId}/cancel {{}} -",
                $"POST /v1/commands/{Samples.CommandId}/cancel {{\"mode\":\"force\"}} -",
                $"GET /v1/commands/{Samples.CommandId}/logs?afterSeq=3  -",
                $"POST /v1/commands/{Samples.CommandId}/logs/download-url  -",
                "GET /v1/projects  -",
                "GET /v1/templates  -",
                "GET /v1/templates/base  -",
            ],
            server.Requests.Select(r => $"{r.Method} {r.Target} {r.Body} {(r.Headers.ContainsKey("Idempotency-Key") ? "I" : "-")}"));
    }

    [Fact]
    public async Task OpenLog_Success_StreamsText()
    {
        await using var server = await ApiServer.StartAsync(200, "line 1\nline 2\n", "text/plain; charset=utf-8");

        await using var stream = await server.Client().Commands.OpenLogAsync(Samples.CommandId);
        using var reader = new StreamReader(stream);

        Assert.Equal("line 1\nline 2\n", await reader.ReadToEndAsync());
        Assert.Equal("Bearer cn_live_test", Assert.Single(server.Requests).Headers["Authorization"]);
    }

    [Fact]
    public async Task Error_Envelope_IsOneExceptionWithCodeAndDetails()
    {
        await using var server = await ApiServer.StartAsync(
            429, """{"error":{"code":"quota_exceeded","message":"Too many.","details":{"limit":2}}}""");

        var error = await Assert.ThrowsAsync<CrowNestApiException>(() => server.Client().Sandboxes.CreateAsync());

        Assert.Equal((HttpStatusCode.TooManyRequests, "quota_exceeded", "Too many."), (error.Status, error.Code, error.Message));
        Assert.Equal(2, error.Details!["limit"]!.GetValue<int>());
        Assert.Equal("req_1", error.RequestId);
        Assert.True(error.IsApiAnswer);
        Assert.Single(server.Requests);
    }

    [Theory]
    [InlineData("<html>502 Bad Gateway</html>")]
    [InlineData("")]
    [InlineData("[1]")]
    [InlineData("""{"error":"text"}""")]
    [InlineData("""{"error":{"code":5}}""")]
    [InlineData("""{"message":"no envelope"}""")]
    public async Task Error_WithoutEnvelope_IsInvalidErrorResponse(string body)
    {
        await using var server = await ApiServer.StartAsync(502, body, "text/html");

        var error = await Assert.ThrowsAsync<CrowNestApiException>(() => server.Client().Projects.ListAsync());

        Assert.Equal((HttpStatusCode.BadGateway, "invalid_error_response"), (error.Status, error.Code));
        Assert.False(error.IsApiAnswer);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("""{"sandbox":{"id":"sbx_1"}}""")]
    public async Task Success_WithOtherBody_IsInvalidResponse(string body)
    {
        await using var server = await ApiServer.StartAsync(200, body);

        var error = await Assert.ThrowsAsync<CrowNestApiException>(() => server.Client().Sandboxes.GetAsync(Samples.SandboxId));

        Assert.Equal("invalid_response", error.Code);
    }

    [Fact]
    public async Task Error_NothingListens_IsConnectionFailed()
    {
        var server = await ApiServer.StartAsync(200, "{}");
        var client = server.Client();
        await server.DisposeAsync();

        var error = await Assert.ThrowsAsync<CrowNestApiException>(() => client.Projects.ListAsync());

        Assert.Equal((null, "connection_failed"), ((HttpStatusCode?)error.Status, error.Code));
        Assert.NotNull(error.InnerException);
    }

    [Fact]
    public async Task Cancellation_WhileWaiting_IsNotAnApiError()
    {
        var arrived = new TaskCompletionSource();
        await using var server = await ApiServer.StartAsync(async context =>
        {
            arrived.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        });
        using var cancellation = new CancellationTokenSource();

        var call = server.Client().Projects.ListAsync(cancellationToken: cancellation.Token);
        await arrived.Task;
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Theory]
    [InlineData("..")]
    [InlineData("sbx_1/../../x")]
    [InlineData("sbx_")]
    [InlineData("cmd_1")]
    [InlineData("")]
    public async Task Get_IdThatIsNone_IsRefusedBeforeSending(string id)
    {
        await using var server = await ApiServer.StartAsync(200, "{}");

        await Assert.ThrowsAsync<ArgumentException>(() => server.Client().Sandboxes.GetAsync(id));

        Assert.Empty(server.Requests);
    }

    [Fact]
    public void Options_Environment_IsReadInOrder()
    {
        var environment = new Dictionary<string, string> { ["CROWNEST_API_KEY"] = "key", ["CROWNEST_API_URL"] = "https://host/p/" };
        var options = new CrowNestClientOptions();

        Assert.Equal("key", options.ResolveCredential(environment.GetValueOrDefault));
        environment["CROWNEST_BEARER_TOKEN"] = "token";
        Assert.Equal("token", options.ResolveCredential(environment.GetValueOrDefault));
        Assert.Equal("given", (options with { Credential = "given" }).ResolveCredential(environment.GetValueOrDefault));
        Assert.Equal("https://host/p/", options.ResolveBaseUrl(environment.GetValueOrDefault).AbsoluteUri);
        Assert.Equal("http://a:1/", (options with { BaseUrl = "http://a:1" }).ResolveBaseUrl(environment.GetValueOrDefault).AbsoluteUri);
        Assert.Equal("http://127.0.0.1:8787/", options.ResolveBaseUrl(_ => null).AbsoluteUri);
    }

    [Fact]
    public void Options_NoCredentialOrBadUrl_FailAtConstruction()
    {
        var options = new CrowNestClientOptions();

        Assert.Throws<ArgumentException>(() => options.ResolveCredential(_ => null));
        Assert.Throws<ArgumentException>(() => (options with { BaseUrl = "ftp://x" }).ResolveBaseUrl(_ => null));
        Assert.Throws<ArgumentException>(() => (options with { BaseUrl = "nowhere" }).ResolveBaseUrl(_ => null));
    }

    [Fact]
    public void Cancel_Body_OmitsAbsentMode() =>
        Assert.Equal("{}", JsonSerializer.Serialize(new CancelCommandRequest(null), CrowNestJson.Options));
}
