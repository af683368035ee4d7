using Xunit;

namespace CrowNest.Testing;

/// <summary>A throw-away Redis server that can be stopped and started again empty, on the same port.</summary>
public sealed class RedisFixture : IAsyncLifetime
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"crownest-test-redis-{Guid.NewGuid():n}");
    private ServerProcess? _server;

    public int Port { get; } = FreePort.Next();

    /// <summary>StackExchange.Redis form.</summary>
    public string ConnectionString => $"127.0.0.1:{Port}";

    /// <summary>The same server by its unix socket.</summary>
    public string SocketConnectionString => $"!{Socket}";

    private string Socket => Path.Combine(_directory, "redis.sock");

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(_directory);
        await StartAsync();
    }

    /// <summary>Kills the server; what it held is gone.</summary>
    public void Stop()
    {
        _server?.Dispose();
        _server = null;
    }

    public async Task StartAsync()
    {
        _server = ServerProcess.Start(
            "redis-server", "--bind", "127.0.0.1", "--port", $"{Port}", "--dir", _directory, "--save", "", "--appendonly", "no",
            "--unixsocket", Socket);
        await Eventually.HoldsAsync(() => _server.Output.Contains("Ready to accept connections", StringComparison.Ordinal), "Redis answers");
    }

    public ValueTask DisposeAsync()
    {
        Stop();
        Directory.Delete(_directory, recursive: true);
        return ValueTask.CompletedTask;
    }
}
