using System.Globalization;

namespace Aspire.Hosting.Services;

/// <summary>Installed Postgres binaries. Debian keeps each major version in a folder of its own and puts none of them in PATH.</summary>
internal static class PostgresInstallation
{
    private const string DebianRoot = "/usr/lib/postgresql";

    /// <summary>The folder of <c>initdb</c> and <c>postgres</c>: of a major version if one is given, else of the newest.</summary>
    /// <exception cref="DistributedApplicationException">It is not installed; the message says how to install it.</exception>
    public static string Find(string? majorVersion = null)
    {
        if (majorVersion is not null)
        {
            return Installed().FirstOrDefault(found => found.Version == majorVersion).Folder
                ?? throw new DistributedApplicationException(
                    $"The data was written by Postgres {majorVersion}, which is not installed any more. "
                    + $"Install it (apt-get install postgresql-{majorVersion}), or move the data with pg_upgrade.");
        }
        return FindNewest() ?? throw new DistributedApplicationException(
            "Postgres is not installed (no initdb in /usr/lib/postgresql/*/bin or PATH). Run eng/setup.sh, or apt-get install postgresql.");
    }

    /// <summary>The folder of the newest version; null when there is none.</summary>
    public static string? FindNewest() => Installed().Select(found => found.Folder).FirstOrDefault();

    private static IEnumerable<(string Version, string Folder)> Installed()
    {
        var debian = Directory.Exists(DebianRoot)
            ? Directory.EnumerateDirectories(DebianRoot).Select(folder => (Version: Path.GetFileName(folder), Folder: Path.Combine(folder, "bin")))
            : [];
        var versioned = debian.Where(found => IsComplete(found.Folder))
            .OrderByDescending(found => int.TryParse(found.Version, CultureInfo.InvariantCulture, out var major) ? major : 0);
        var inPath = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Where(IsComplete).Select(folder => (Version: "", Folder: folder));
        return versioned.Concat(inPath);
    }

    private static bool IsComplete(string folder) =>
        File.Exists(Path.Combine(folder, "initdb")) && File.Exists(Path.Combine(folder, "postgres"));
}
