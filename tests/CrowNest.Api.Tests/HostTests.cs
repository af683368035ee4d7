using System.Diagnostics;
using System.Net;
using CrowNest.Testing;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests;

/// <summary>The API beside servers that come another way, or have gone.</summary>
public sealed class HostTests(PostgresFixture postgres, RedisFixture redis)
{
    /// <summary>The promise is three seconds; the rest is for a machine that does something else as well.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(5);

    private static readonly Uri Projects = new("/v1/projects", UriKind.Relative);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stop_DatabaseAndRedisGone_IsPrompt(bool silent)
    {
        var database = await TestDatabase.CreateAsync(postgres);
        using var databaseRelay = new TcpRelay(new NpgsqlConnectionStringBuilder(database.ConnectionString).Port);
        using var redisRelay = new TcpRelay(redis.Port);
        await using var api = new ApiInstance(
            database, $"127.0.0.1:{redisRelay.Port}",
            ("ConnectionStrings:crownest",
                new NpgsqlConnectionStringBuilder(database.ConnectionString) { Port = databaseRelay.Port }.ConnectionString),
            // Its rounds are under way at any moment.
            ("Api:Fleet:BooksInterval", "00:00:00.1"), ("Api:WorkspaceRuns:SweepInterval", "00:00:00.1"));
        using (var served = await api.Client().GetAsync(Projects))
        {
            Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        }

        foreach (var relay in new[] { databaseRelay, redisRelay })
        {
            if (silent)
            {
                relay.Silence();
            }
            else
            {
                relay.Cut();
            }
        }

        using var client = api.Client();
        var waiting = client.GetAsync(Projects);
        var began = Stopwatch.GetTimestamp();
        await api.DisposeAsync();

        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, Bound);
        // Answered or broken off; only not left to itself.
        await Task.WhenAny(waiting).WaitAsync(Bound);
    }

    [Fact]
    public async Task Start_ServersOverUnixSockets_ServesAndIsHealthy()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await using var api = new ApiInstance(
            database, redis.SocketConnectionString, ("ConnectionStrings:crownest", postgres.OverSocket(database.ConnectionString)));

        using var served = await api.Client().GetAsync(Projects);
        using var health = await api.Client(bearer: null).GetAsync(new Uri("/health", UriKind.Relative));

        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        Assert.Equal("""{"status":"ok"}""", await health.Content.ReadAsStringAsync());
    }
}
