using System.Net.Http.Headers;
using CrowNest.Api.Bootstrap;
using CrowNest.Testing;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;

namespace CrowNest.Api.Tests;

/// <summary>The whole API, as <c>Program</c> builds it, on a real port.</summary>
internal sealed class ApiInstance : WebApplicationFactory<Program>
{
    public const string DeploymentSecret = "test-deployment-secret-0123456789abcdef";

    private readonly Dictionary<string, string?> _settings;
    private readonly TextWriter _console;

    /// <param name="redis">StackExchange.Redis form.</param>
    /// <param name="settings">Configuration keys such as <c>Api:RateLimitPerMinute</c>; null takes a default of this class away.</param>
    public ApiInstance(TestDatabase database, string redis, params (string Key, string? Value)[] settings)
        : this(database, redis, TextWriter.Null, settings)
    {
    }

    /// <param name="console">Where a generated key is shown.</param>
    public ApiInstance(TestDatabase database, string redis, TextWriter console, params (string Key, string? Value)[] settings)
    {
        _console = console;
        _settings = DefaultSettings(database, redis);
        foreach (var (key, value) in settings)
        {
            _settings[key] = value;
        }

        UseKestrel(FreePort.Next());
        StartServer();
    }

    public static Dictionary<string, string?> DefaultSettings(TestDatabase database, string redis) => new()
    {
        ["ConnectionStrings:crownest"] = database.ConnectionString,
        ["ConnectionStrings:redis"] = redis,
        ["CrowNest:DeploymentSecret"] = DeploymentSecret,
        ["Objects:Directory"] = database.ObjectsDirectory,
        ["CROWNEST_BOOTSTRAP_API_KEY"] = TestDatabase.Key,
        ["Logging:LogLevel:Default"] = "Warning",
    };

    /// <summary>A client whose every response is held against the contract.</summary>
    /// <param name="bearer">null: no credential.</param>
    public HttpClient Client(string? bearer = TestDatabase.Key) => Authorize(CreateDefaultClient(new ContractGuard()), bearer);

    public static HttpClient Authorize(HttpClient client, string? bearer)
    {
        if (bearer is not null)
        {
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        }

        return client;
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseEnvironment("Testing");
        foreach (var (key, value) in _settings.Where(s => s.Value is not null))
        {
            builder.UseSetting(key, value);
        }

        builder.ConfigureTestServices(services => services.AddSingleton(new BootstrapConsole(_console)));
    }
}
