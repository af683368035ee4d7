using System.Collections.Concurrent;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CrowNest.Client.Tests;

/// <summary>A request as the server saw it.</summary>
internal sealed record SeenRequest(string Method, string Target, IReadOnlyDictionary<string, string> Headers, string Body);

/// <summary>A real Kestrel server on a free port that answers with what the test says and remembers what was asked.</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ApiServer(WebApplication app) => _app = app;

    public ConcurrentQueue<SeenRequest> Requests { get; } = new();

    public string Url => _app.Urls.Single();

    public static async Task<ApiServer> StartAsync(RequestDelegate answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var server = new ApiServer(app);
        app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            var body = await reader.ReadToEndAsync();
            var headers = context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase);
            var target = context.Request.PathBase + context.Request.Path + context.Request.QueryString;
            server.Requests.Enqueue(new SeenRequest(context.Request.Method, target, headers, body));
            await answer(context);
        });
        await app.StartAsync();
        return server;
    }

    public static Task<ApiServer> StartAsync(int status, string body, string contentType = "application/json") =>
        StartAsync(context =>
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = contentType;
            context.Response.Headers["x-request-id"] = "req_1";
            return context.Response.WriteAsync(body);
        });

    /// <summary>A client without waits between attempts.</summary>
    public CrowNestClient Client(string prefix = "") => new(new HttpClient(), new CrowNestClientOptions
    {
        Credential = "cn_live_test",
        BaseUrl = Url + prefix,
        ReconnectDelays = [.. Enumerable.Repeat(TimeSpan.FromMilliseconds(1), 5)],
    });

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}

internal static class Samples
{
    public const string SandboxId = "sbx_aaaaaaaaaaaaaaaaaaaaaaaa";
    public const string CommandId = "cmd_aaaaaaaaaaaaaaaaaaaaaaaa";

    public const string Sandbox = """
        {"id":"sbx_aaaaaaaaaaaaaaaaaaaaaaaa","orgId":"org_1","projectId":"prj_1","status":"ready",
        "templateId":"tpl_base","templateSlug":"base",
        "templateVersion":"2026-11-22","templateVersionId":"tplv_base_1","ttlMs":60000,"expiresAt":"2026-11-22T10:01:00.000Z",
        "metadata":{"a.b":"c"},"createdAt":"2026-11-22T10:00:00.000Z","unknownMember":{"x":1}}
        """;

    public static string Command(string status = CommandStatus.Exited) => $$"""
        {"id":"{{CommandId}}","sandboxId":"{{SandboxId}}","command":"true","cwd":"/workspace","env":{},"status":"{{status}}","exitCode":0,
        "collectStatus":"not_requested"}
        """.ReplaceLineEndings("");

    public static string Log(long seq, string data) =>
        $$"""{"type":"log","seq":{{seq}},"stream":"stdout","data":"{{data}}","createdAt":"2026-11-22T10:00:00.000Z"}""";

    public static string Terminal() => $$"""{"type":"terminal","command":{{Command()}},"createdAt":"2026-11-22T10:00:00.000Z"}""";

    public const string Heartbeat = """{"type":"heartbeat","createdAt":"2026-11-22T10:00:00.000Z"}""";
}
