using Aspire.Hosting.Testing;
using Npgsql;

namespace CrowNest.LocalHosting.Tests;

public sealed class BackingServiceTests
{
    [Fact]
    public async Task Postgres_StoppedAndStartedAgain_KeepsDataAndPassword()
    {
        await using var nest = new Nest();
        var first = await nest.StartAsync(Compose);
        await first.HealthyAsync("crownest");
        await ExecuteAsync(first, "CREATE TABLE egg (id int); INSERT INTO egg VALUES (7)");
        await first.DisposeAsync();

        var second = await nest.StartAsync(Compose);
        await second.HealthyAsync("crownest");

        Assert.Equal(7, await ExecuteAsync(second, "SELECT id FROM egg"));
        Assert.Contains(nest.Output.Lines, line => line.Contains("database system was shut down at", StringComparison.Ordinal));
        Assert.DoesNotContain(nest.Output.Lines, line => line.Contains("was interrupted", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Postgres_FolderThatOnlyItsOwnerMayEnter_Runs()
    {
        await using var nest = new Nest(closed: true);
        var application = await nest.StartAsync(Compose);
        await application.HealthyAsync("crownest");

        Assert.Equal(7, await ExecuteAsync(application, "SELECT 7"));
    }

    [Fact]
    public async Task Postgres_Killed_IsReportedAndStartsAgain()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(Compose);
        await application.HealthyAsync("crownest");
        await ExecuteAsync(application, "CREATE TABLE egg (id int); INSERT INTO egg VALUES (7)");

        application.KillResource("postgres");

        await application.BecomesAsync("postgres", current => current is { IsHealthy: true, Starts: 2 });
        Assert.Equal(7, await ExecuteAsync(application, "SELECT id FROM egg"));
        Assert.Contains(nest.Output.Lines, line => line.Contains("postgres DIED: killed by SIGKILL", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Postgres_OtherPassword_IsRefused()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(Compose);
        await application.HealthyAsync("crownest");
        var right = new NpgsqlConnectionStringBuilder(await application.GetConnectionStringAsync("crownest"));

        await using var connection = new NpgsqlConnection($"{right};Password=wrong;Pooling=false");
        var exception = await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync());

        Assert.Equal(PostgresErrorCodes.InvalidPassword, exception.SqlState);
    }

    [Fact]
    public async Task Redis_StoppedAndStartedByName_IsEmptyAndHealthy()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(model => model.AddRedis("redis"));
        await application.HealthyAsync("redis");
        var first = application.ProcessOf("redis");

        await application.StopResourceAsync("redis");
        Assert.Equal(KnownResourceStates.Exited, application.ResourceNotifications.Get("redis").State);
        Assert.False(Directory.Exists($"/proc/{first}"));

        await application.StartResourceAsync("redis");
        await application.HealthyAsync("redis");
        Assert.NotEqual(first, application.ProcessOf("redis"));
    }

    [Fact]
    public async Task Secrets_Generated_AreForTheOwnerOnlyAndNotOnCommandLines()
    {
        await using var nest = new Nest();
        var application = await nest.StartAsync(Compose);
        await application.HealthyAsync("crownest");
        await application.HealthyAsync("redis");

        foreach (var name in new[] { "postgres-password", "redis-password" })
        {
            var file = Path.Combine(nest.Folder, "secrets", name);
            var secret = (await File.ReadAllTextAsync(file)).Trim();
            Assert.True(secret.Length >= 32);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            foreach (var process in new[] { "postgres", "redis" })
            {
                var commandLine = await File.ReadAllTextAsync($"/proc/{application.ProcessOf(process)}/cmdline");
                Assert.DoesNotContain(secret, commandLine, StringComparison.Ordinal);
            }
        }
    }

    private static void Compose(IDistributedApplicationBuilder model)
    {
        model.AddPostgres("postgres").AddDatabase("crownest");
        model.AddRedis("redis");
    }

    private static async Task<object?> ExecuteAsync(DistributedApplication application, string sql)
    {
        await using var connection = new NpgsqlConnection(await application.GetConnectionStringAsync("crownest") + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }
}
