using CrowNest.Platform.Database;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CrowNest.Testing;

/// <summary>
/// A throw-away Postgres server without fsync, one per assembly; it starts when the first test asks for a database.
/// <see cref="CreateDatabaseAsync"/> gives each test that wants one a database of its own, with the migrations applied.
/// </summary>
public sealed class PostgresFixture : IAsyncDisposable
{
    private const string Owner = "postgres";
    private const string Template = "migrated";
    private const long MemoryWanted = 4L << 30;

    private readonly string _directory = Path.Combine(Root(), $"{RunName}-pg-{Guid.NewGuid():n}");
    private readonly int _port = FreePort.Next();
    private readonly Lazy<Task> _ready;
    private ServerProcess? _server;
    private int _databases;

    public PostgresFixture() => _ready = new(async () =>
    {
        await StartAsync();
        await MigrateTemplateAsync();
    });

    /// <summary>A new, migrated database: a copy of one that was migrated once, which takes a fraction of the time.</summary>
    /// <returns>Its connection string.</returns>
    public async Task<string> CreateDatabaseAsync()
    {
        await _ready.Value;
        var name = $"test_{Interlocked.Increment(ref _databases)}";
        await CreateAsync($"{name} TEMPLATE {Template}");
        return ConnectionString(name);
    }

    /// <summary>The same database by the server's unix socket.</summary>
    public string OverSocket(string connectionString) =>
        new NpgsqlConnectionStringBuilder(connectionString) { Host = _directory }.ConnectionString;

    public async ValueTask DisposeAsync()
    {
        if (!_ready.IsValueCreated)
        {
            return;
        }

        // What did not start has left its folder, and told the test that asked.
        await _ready.Value.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        NpgsqlConnection.ClearAllPools();
        _server?.Interrupt();
        _server?.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Removes a database that nobody uses any more.</summary>
    public async Task DropDatabaseAsync(string connectionString)
    {
        await using (var pool = new NpgsqlConnection(connectionString))
        {
            NpgsqlConnection.ClearPool(pool);
        }

        await ExecuteAsync($"DROP DATABASE {new NpgsqlConnectionStringBuilder(connectionString).Database} WITH (FORCE)");
    }

    /// <summary>By which <c>./test.sh</c> finds what a crashed suite has left in memory.</summary>
    private static string RunName => Environment.GetEnvironmentVariable("CROWNEST_TEST_RUN") ?? "crownest-test";

    /// <summary>
    /// Memory where there is much of it: a database is 300 files, and a disk that has them deleted by the thousand is what tests would wait
    /// for in the end (ext4 with "discard": 2 ms a file).
    /// </summary>
    private static string Root()
    {
        const string Memory = "/dev/shm";
        return Directory.Exists(Memory) && new DriveInfo(Memory).AvailableFreeSpace > MemoryWanted ? Memory : Path.GetTempPath();
    }

    private async Task StartAsync()
    {
        Directory.CreateDirectory(_directory);
        var asOwner = Array.Empty<string>();
        if (Environment.IsPrivilegedProcess)
        {
            // Postgres refuses to run as root.
            await ServerProcess.RunAsync("chown", Owner, _directory);
            asOwner = ["setpriv", $"--reuid={Owner}", $"--regid={Owner}", "--clear-groups", "--"];
        }

        var data = Path.Combine(_directory, "data");
        await ServerProcess.RunAsync([.. asOwner, Binary("initdb"), "-D", data, "-U", "app", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        _server = ServerProcess.Start([
            .. asOwner, Binary("postgres"), "-D", data, "-p", $"{_port}", "-c", "listen_addresses=127.0.0.1",
            "-c", $"unix_socket_directories={_directory}", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
            "-c", "max_connections=500",
            "-c", "autovacuum=off", "-c", "max_wal_size=128MB", "-c", "min_wal_size=32MB",
        ]);
        await Eventually.HoldsAsync(CanConnectAsync, "Postgres answers", TimeSpan.FromSeconds(30));
    }

    private string ConnectionString(string database) =>
        $"Host=127.0.0.1;Port={_port};Username=app;Database={database};Maximum Pool Size=60";

    private async Task MigrateTemplateAsync()
    {
        await CreateAsync(Template);
        // Without a pool, because a database with connections cannot be copied.
        var options = new DbContextOptionsBuilder<CrowNestDb>().UseNpgsql(ConnectionString(Template) + ";Pooling=false").Options;
        await using var database = new CrowNestDb(options);
        await database.Database.MigrateAsync();
    }

    private Task CreateAsync(string database) => ExecuteAsync($"CREATE DATABASE {database}");

    private async Task ExecuteAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString("postgres"));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private async Task<bool> CanConnectAsync()
    {
        if (_server!.HasExited)
        {
            throw new InvalidOperationException($"Postgres did not start:\n{_server.Output}");
        }

        try
        {
            await using var connection = new NpgsqlConnection(ConnectionString("postgres"));
            await connection.OpenAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    /// <summary>Debian keeps the server's programs outside the PATH, one folder per major version.</summary>
    private static string Binary(string name) =>
        Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").Order().Select(d => Path.Combine(d, "bin", name)).Last(File.Exists)
            : name;
}
