using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace CrowNest.Worker.Tests.Files;

/// <summary>An agent that speaks HTTP as it should, and answers as a test wants.</summary>
internal sealed class FakeAgent : IAsyncDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"crownest-test-agent-{Guid.NewGuid():n}");
    private readonly WebApplication _app;
    private readonly RequestDelegate _handler;

    private FakeAgent(RequestDelegate handler)
    {
        _handler = handler;
        Directory.CreateDirectory(_folder);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.ListenUnixSocket(SocketPath);
            kestrel.Limits.MaxRequestBodySize = null;
        });
        _app = builder.Build();
        _app.Run(ServeAsync);
    }

    public string SocketPath => Path.Combine(_folder, "agent.sock");

    /// <summary>What was asked for: method and raw target.</summary>
    public List<string> Requests { get; } = [];

    public static async Task<FakeAgent> StartAsync(RequestDelegate handler)
    {
        var agent = new FakeAgent(handler);
        await agent._app.StartAsync();
        return agent;
    }

    /// <summary>An agent with one file.</summary>
    public static Task<FakeAgent> StartAsync(byte[] content, string path = "/workspace/file.bin") => StartAsync(async context =>
    {
        DescribeFile(context.Response, content.Length, path);
        await context.Response.Body.WriteAsync(content);
    });

    public static void DescribeFile(HttpResponse response, long size, string path = "/workspace/file.bin")
    {
        response.Headers["X-File-Size"] = size.ToString(CultureInfo.InvariantCulture);
        response.Headers["X-File-Path"] = Uri.EscapeDataString(path);
        response.Headers["X-File-Modified"] = "1760000000000";
    }

    public static Task ErrorAsync(HttpContext context, int status, string code, string message = "No.")
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new { error = new { code, message } });
    }

    public async ValueTask DisposeAsync()
    {
        using var atOnce = new CancellationTokenSource();
        await atOnce.CancelAsync();
        await _app.StopAsync(atOnce.Token);
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task ServeAsync(HttpContext context)
    {
        lock (Requests)
        {
            Requests.Add($"{context.Request.Method} {context.Features.Get<IHttpRequestFeature>()!.RawTarget}");
        }

        await _handler(context);
    }
}
