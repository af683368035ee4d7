using Microsoft.Extensions.Configuration;
using StackExchange.Redis;

namespace CrowNest.Platform.Streams;

/// <summary>
/// The process's one connection to Redis. It is made in the background and made again after a loss; while it is away, operations throw
/// <see cref="RedisConnectionException"/> or <see cref="TimeoutException"/> within the configured timeouts.
/// </summary>
public sealed class RedisConnection(IConfiguration configuration) : IAsyncDisposable
{
    /// <summary>Name of the connection string, and of the resource in the AppHost.</summary>
    public const string ConnectionName = "redis";

    /// <summary>Above the first attempt's time, so that this only ends a wait for what should not happen.</summary>
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(5);

    private readonly Lazy<Task<ConnectionMultiplexer>> _multiplexer = new(() => ConnectAsync(configuration));

    public async Task<ConnectionMultiplexer> GetAsync() => await _multiplexer.Value.WaitAsync(ConnectPatience);

    public async Task<IDatabase> GetDatabaseAsync() => (await GetAsync()).GetDatabase();

    public async ValueTask DisposeAsync()
    {
        if (_multiplexer.IsValueCreated && _multiplexer.Value.IsCompletedSuccessfully)
        {
            var multiplexer = await _multiplexer.Value;
            await multiplexer.CloseAsync(allowCommandsToComplete: false);
        }
    }

    private static Task<ConnectionMultiplexer> ConnectAsync(IConfiguration configuration)
    {
        // Aspire may add TLS and a password to the string: only the library's own parser reads it.
        var options = ConfigurationOptions.Parse(configuration.GetConnectionString(ConnectionName)
            ?? throw new InvalidOperationException($"ConnectionStrings__{ConnectionName} is not set."));
        options.AbortOnConnectFail = false;
        // Of the first connect only, which must not wait for a Redis that is away: the library goes on trying in the background.
        options.ConnectRetry = 1;
        options.ConnectTimeout = 2000;
        options.SyncTimeout = 2000;
        options.KeepAlive = 5;
        return ConnectionMultiplexer.ConnectAsync(options);
    }
}
