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

    private readonly Lazy<Task<ConnectionMultiplexer>> _multiplexer = new(() => ConnectAsync(configuration));

    public async Task<ConnectionMultiplexer> GetAsync() => await _multiplexer.Value;

    public async Task<IDatabase> GetDatabaseAsync() => (await _multiplexer.Value).GetDatabase();

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
        options.ConnectRetry = int.MaxValue;
        options.ConnectTimeout = 2000;
        options.SyncTimeout = 2000;
        options.KeepAlive = 5;
        return ConnectionMultiplexer.ConnectAsync(options);
    }
}
