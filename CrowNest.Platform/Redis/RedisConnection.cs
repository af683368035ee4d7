using StackExchange.Redis;

namespace CrowNest.Platform.Redis;

/// <summary>
/// The process's one connection to Redis. It is made in the background and made again after a loss; while it is away, operations throw
/// <see cref="RedisConnectionException"/> or <see cref="TimeoutException"/> within the configured timeouts.
/// </summary>
/// <param name="connect">Gives the connection; may take the first attempt's time.</param>
public sealed class RedisConnection(Func<IConnectionMultiplexer> connect) : IAsyncDisposable
{
    /// <summary>Name of the connection string, and of the resource in the AppHost.</summary>
    public const string ConnectionName = "redis";

    /// <summary>Above the first attempt's time, so that this only ends a wait for what should not happen.</summary>
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(5);

    private readonly Lazy<Task<IConnectionMultiplexer>> _multiplexer = new(() => Detached(connect));

    /// <summary>Connects in the background, so that whoever asks first finds it done.</summary>
    public void Begin() => _ = _multiplexer.Value;

    public async Task<IConnectionMultiplexer> GetAsync() => await _multiplexer.Value.WaitAsync(ConnectPatience);

    public async Task<IDatabase> GetDatabaseAsync() => (await GetAsync()).GetDatabase();

    /// <summary>How this project wants its connection, whoever makes it.</summary>
    public static void Configure(ConfigurationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.AbortOnConnectFail = false;
        // Of the first connect only, which must not wait for a Redis that is away: the library goes on trying in the background.
        options.ConnectRetry = 1;
        options.ConnectTimeout = 2000;
        options.SyncTimeout = 2000;
        options.KeepAlive = 5;
        // Who asks while it is away hears so at once, and does without or tries again: no operation waits in a queue for its timeout.
        options.BacklogPolicy = BacklogPolicy.FailFast;
    }

    /// <summary>The connection outlives whoever asks first: what it does and logs belongs to no request, and to no request's trace.</summary>
    private static Task<IConnectionMultiplexer> Detached(Func<IConnectionMultiplexer> connect)
    {
        using (ExecutionContext.SuppressFlow())
        {
            return Task.Run(connect);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_multiplexer.IsValueCreated && _multiplexer.Value.IsCompletedSuccessfully)
        {
            var multiplexer = await _multiplexer.Value;
            await multiplexer.CloseAsync(allowCommandsToComplete: false);
        }
    }
}
