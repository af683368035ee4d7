using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace CrowNest.Worker.Tests.Runtime;

/// <summary>An engine without images and containers, on a socket of its own; what a test wants otherwise it answers itself.</summary>
internal sealed class FakeEngine : IAsyncDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"crownest-test-engine-{Guid.NewGuid():n}");
    private readonly WebApplication _app;
    private readonly Func<HttpContext, string, Task<bool>> _answer;

    private FakeEngine(Func<HttpContext, string, Task<bool>> answer)
    {
        _answer = answer;
        Directory.CreateDirectory(_folder);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(SocketPath));
        _app = builder.Build();
        _app.Run(ServeAsync);
    }

    public string SocketPath => Path.Combine(_folder, "engine.sock");

    /// <param name="answer">Is given each request and its path without the version; false: the answer of an idle engine.</param>
    public static async Task<FakeEngine> StartAsync(Func<HttpContext, string, Task<bool>> answer)
    {
        var engine = new FakeEngine(answer);
        await engine._app.StartAsync();
        return engine;
    }

    /// <summary>Answers nothing until the caller has given up.</summary>
    public static async Task<bool> HangAsync(HttpContext context)
    {
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.RequestAborted.Register(gone.SetResult);
        await gone.Task;
        return true;
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
        var path = context.Request.Path.Value!;
        path = path.StartsWith("/v1.", StringComparison.Ordinal) ? path[path.IndexOf('/', 1)..] : path;
        if (await _answer(context, path))
        {
            return;
        }

        object body = path switch
        {
            "/version" => new { Version = "20.10.24", ApiVersion = "1.41", MinAPIVersion = "1.12" },
            "/info" => new { DefaultRuntime = "runc" },
            "/_ping" => "OK",
            "/images/json" or "/containers/json" => Array.Empty<string>(),
            "/events" => await HangAsync(context),
            _ => throw new InvalidOperationException($"An idle engine is not asked for {path}."),
        };
        if (!context.RequestAborted.IsCancellationRequested)
        {
            await context.Response.WriteAsJsonAsync(body, JsonSerializerOptions.Default);
        }
    }
}
