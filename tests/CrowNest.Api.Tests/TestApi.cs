using System.Collections.Concurrent;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Http;
using CrowNest.Api.Projects;
using CrowNest.Api.SignIn;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace CrowNest.Api.Tests;

/// <summary>The API's way of a request, on a real port, around routes of a test.</summary>
internal sealed class TestApi : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TestApi(WebApplication app, LogLines logs)
    {
        _app = app;
        Logs = logs;
    }

    public LogLines Logs { get; }

    public Uri Address => new(_app.Urls.First());

    public IServiceProvider Services => _app.Services;

    /// <param name="map">Adds routes below <c>/v1</c>.</param>
    public static Task<TestApi> StartAsync(
        TestDatabase database, string redis, Action<RouteGroupBuilder> map, params (string Key, string? Value)[] settings) =>
        StartAsync(database, redis, map, TimeProvider.System, settings);

    public static async Task<TestApi> StartAsync(
        TestDatabase database, string redis, Action<RouteGroupBuilder> map, TimeProvider time, params (string Key, string? Value)[] settings)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = "Testing" });
        var logs = new LogLines();
        builder.Logging.ClearProviders().AddProvider(logs);
        builder.Configuration.AddInMemoryCollection(ApiInstance.DefaultSettings(database, redis));
        builder.Configuration.AddInMemoryCollection([new("Api:ListenUrl", $"http://127.0.0.1:{FreePort.Next()}")]);
        builder.Configuration.AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, s.Value)));
        builder.Services.AddSingleton(time);
        builder.AddApi();
        builder.Services.AddSignIn().AddProjects();
        var app = builder.Build();
        app.UseApi();
        app.MapSignIn();
        app.MapSigningKeys();
        map(app.MapV1());
        await app.StartAsync();
        return new TestApi(app, logs);
    }

    /// <inheritdoc cref="ApiInstance.Client"/>
    public HttpClient Client(string? bearer = TestDatabase.Key)
    {
        var guard = new ContractGuard { InnerHandler = new SocketsHttpHandler { AllowAutoRedirect = false } };
        return ApiInstance.Authorize(new HttpClient(guard) { BaseAddress = Address }, bearer);
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();
}

/// <summary>Log lines with their scopes.</summary>
internal sealed class LogLines : ILoggerProvider, ISupportExternalScope
{
    private readonly ConcurrentQueue<string> _lines = new();
    private IExternalScopeProvider _scopes = new LoggerExternalScopeProvider();

    public IEnumerable<string> All => _lines;

    public ILogger CreateLogger(string categoryName) => new Logger(this);

    public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _scopes = scopeProvider;

    public void Dispose()
    {
    }

    private sealed class Logger(LogLines lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => lines._scopes.Push(state);

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                var scopes = new List<string>();
                lines._scopes.ForEachScope(
                    (scope, list) => list.Add(scope is IEnumerable<KeyValuePair<string, object>> pairs
                        ? string.Join(',', pairs.Select(p => $"{p.Key}={p.Value}")) : $"{scope}"), scopes);
                lines._lines.Enqueue($"{logLevel} {eventId.Id} {formatter(state, exception)} {exception} [{string.Join(';', scopes)}]");
            }
        }
    }
}
