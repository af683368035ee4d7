using CrowNest.Platform.Redis;
using StackExchange.Redis;

namespace CrowNest.Testing;

/// <summary>Connections as the services make them, without a host.</summary>
public static class RedisConnections
{
    /// <param name="connectionString">StackExchange.Redis form.</param>
    public static RedisConnection Open(string connectionString)
    {
        var options = ConfigurationOptions.Parse(connectionString);
        RedisConnection.Configure(options);
        return new RedisConnection(() => ConnectionMultiplexer.Connect(options));
    }
}
