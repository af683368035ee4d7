using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;
using Npgsql;

namespace Aspire.Hosting.Services;

/// <summary>Runs the installed Postgres on a data folder of its own.</summary>
internal sealed class PostgresDriver(
    PostgresServerResource server, LocalHostingOptions options, StateFolder state, ProcessLauncher launcher, TimeProvider time,
    Action<string> writeLine) : ResourceDriver
{
    // sun_path holds 108 bytes; the socket is called .s.PGSQL.<port>.
    private const int LongestSocketFolder = 85;

    private string Home => server.Annotations.OfType<DataFolderAnnotation>().LastOrDefault()?.Path ?? state.Combine(server.Name);

    private string Data => Path.Combine(Home, "data");

    public override bool IsService => true;

    public override async Task<ProcessSpec> PrepareAsync(CancellationToken cancellationToken)
    {
        RequireFreePorts(server);
        var sockets = Path.Combine(Home, "run");
        Directory.CreateDirectory(Home);
        Directory.CreateDirectory(sockets);
        var privileges = Array.Empty<string>();
        if (Environment.IsPrivilegedProcess)
        {
            // Postgres refuses to run as root.
            await RunAsync("chown", ["postgres:postgres", Home, sockets], [], cancellationToken);
            privileges = await CanPostgresEnterAsync(cancellationToken) ? AsPostgres : AsPostgresReadingEverywhere;
        }

        var version = Path.Combine(Data, "PG_VERSION");
        var binaries = PostgresInstallation.Find();
        if (!File.Exists(version))
            await InitializeAsync(binaries, privileges, cancellationToken);
        else if (PostgresMajor(binaries) is var newest && (await File.ReadAllTextAsync(version, cancellationToken)).Trim() is var written
            && newest != written)
            binaries = PostgresInstallation.Find(written);

        string[] arguments =
        [
            "-D", Data,
            "-p", server.PrimaryEndpoint.Port.ToString(CultureInfo.InvariantCulture),
            "-k", sockets.Length <= LongestSocketFolder ? sockets : "",
            "-c", "listen_addresses=" + EndpointAnnotation.Loopback,
            "-c", "max_connections=200",
            "-c", "timezone=UTC",
            "-c", "log_timezone=UTC",
            .. options.DurablePostgres ? Array.Empty<string>() : ["-c", "fsync=off", "-c", "full_page_writes=off"],
        ];
        return new ProcessSpec(Path.Combine(binaries, "postgres"), arguments, Home)
        {
            PrivilegeOptions = privileges,
            // "Fast shutdown": ends sessions, writes a checkpoint. SIGTERM would wait for clients to leave.
            StopSignal = Signals.Interrupt,
            StopGrace = options.BackingServiceStopGrace,
        };
    }

    public override async Task<string?> ProbeAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await OpenAsync(cancellationToken);
            return null;
        }
        catch (NpgsqlException exception)
        {
            return exception is PostgresException { SqlState: PostgresErrorCodes.InvalidPassword }
                ? $"the password in secrets/ is not the one {Data} was made with: {exception.Message}"
                : exception.Message;
        }
    }

    public override async Task OnFirstHealthyAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await OpenAsync(cancellationToken);
            foreach (var name in server.Databases.Select(database => database.DatabaseName))
            {
                await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = $1", connection);
                exists.Parameters.Add(new NpgsqlParameter { Value = name });
                if (await exists.ExecuteScalarAsync(cancellationToken) is not null)
                    continue;
                await using var create = new NpgsqlCommand($"CREATE DATABASE \"{name.Replace("\"", "\"\"")}\"", connection);
                await create.ExecuteNonQueryAsync(cancellationToken);
            }
        }
        catch (NpgsqlException exception)
        {
            throw new DistributedApplicationException($"The databases of `{server.Name}` could not be created: {exception.Message}", exception);
        }
    }

    private static string[] AsPostgres => ["--reuid=postgres", "--regid=postgres", "--init-groups"];

    // For a checkout below a folder that only root may enter (/root): Postgres may then pass through and read, not write, what it could not
    // otherwise. The alternatives were worse: opening /root to all users, or data outside of the one state folder.
    private static string[] AsPostgresReadingEverywhere =>
        [.. AsPostgres, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];

    /// <summary>Into a folder beside, renamed when complete: an interrupted first start leaves nothing that looks like a database.</summary>
    private async Task InitializeAsync(string binaries, string[] privileges, CancellationToken cancellationToken)
    {
        var unfinished = Path.Combine(Home, "data.new");
        if (Directory.Exists(unfinished))
            Directory.Delete(unfinished, recursive: true);
        var passwordFile = Path.Combine(Home, "password.new");
        StateFolder.WritePrivateFile(passwordFile, await server.PasswordParameter.GetValueAsync(cancellationToken) + "\n");
        try
        {
            if (privileges.Length > 0)
                await RunAsync("chown", ["postgres:postgres", passwordFile], [], cancellationToken);
            var userName = await server.GetUserNameAsync(cancellationToken);
            await RunAsync(
                Path.Combine(binaries, "initdb"),
                [
                    "-D", unfinished, "--username=" + userName, "--pwfile=" + passwordFile, "--auth=scram-sha-256", "--encoding=UTF8",
                    "--locale=C", .. options.DurablePostgres ? Array.Empty<string>() : ["--no-sync"],
                ],
                privileges,
                cancellationToken);
        }
        finally
        {
            File.Delete(passwordFile);
        }
        Directory.Move(unfinished, Data);
    }

    private async Task<bool> CanPostgresEnterAsync(CancellationToken cancellationToken) =>
        await ExecuteAsync("test", ["-x", Home], AsPostgres, "/", cancellationToken) == 0;

    private async Task RunAsync(string program, string[] arguments, string[] privileges, CancellationToken cancellationToken)
    {
        var exitCode = await ExecuteAsync(program, arguments, privileges, Home, cancellationToken);
        if (exitCode != 0)
            throw new DistributedApplicationException($"{program} failed with exit code {exitCode}; its lines are above.");
    }

    private async Task<int> ExecuteAsync(
        string program, string[] arguments, string[] privileges, string folder, CancellationToken cancellationToken)
    {
        var spec = new ProcessSpec(program, arguments, folder) { PrivilegeOptions = privileges, StopGrace = options.StopGrace };
        var pidFile = Path.Combine(state.Pids, server.Name + "-setup.pid");
        using var process = await LocalProcess.StartAsync(launcher, spec, pidFile, writeLine, time);
        try
        {
            return await process.Exited.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            await process.StopAsync();
            throw;
        }
    }

    private async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(
            $"{await server.GetValueAsync(cancellationToken)};Database=postgres;Pooling=false;Timeout=4;Application Name=apphost");
        try
        {
            await connection.OpenAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    // /usr/lib/postgresql/15/bin
    private static string PostgresMajor(string binaries) => Path.GetFileName(Path.GetDirectoryName(binaries)) ?? "";
}
