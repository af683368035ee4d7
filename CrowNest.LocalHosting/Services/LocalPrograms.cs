namespace Aspire.Hosting.Services;

/// <summary>The programs the local flavour starts or needs for starting others.</summary>
public static class LocalPrograms
{
    /// <summary>Programs that must be in PATH: Redis, and util-linux's for starting processes.</summary>
    public static IReadOnlyList<string> Required { get; } = [RedisDriver.Program, "setsid", "setpriv"];

    /// <summary>The folder of Postgres's programs; null when it is not installed.</summary>
    public static string? FindPostgres() => PostgresInstallation.FindNewest();

    /// <summary>The absolute path of a program in PATH; null when it is not there.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(':', StringSplitOptions.RemoveEmptyEntries).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
}
