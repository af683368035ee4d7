using System.Globalization;

namespace Aspire.Hosting.Running;

/// <summary>Who listens on a TCP port, from /proc/net/tcp.</summary>
internal static class ListeningSocket
{
    private const string ListenState = "0A";

    private static readonly string[] Tables = ["/proc/net/tcp", "/proc/net/tcp6"];

    /// <summary>Text that names the process listening on the port; null when nobody does.</summary>
    public static string? FindOwner(int port)
    {
        // "   0: 0100007F:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2316 1 ..."
        var suffix = ":" + port.ToString("X4", CultureInfo.InvariantCulture);
        var inodes = Tables
            .Where(File.Exists)
            .SelectMany(File.ReadLines)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields.Length > 9 && fields[3] == ListenState && fields[1].EndsWith(suffix, StringComparison.Ordinal))
            .Select(fields => $"socket:[{fields[9]}]")
            .ToHashSet(StringComparer.Ordinal);
        if (inodes.Count == 0)
            return null;

        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var processId) && Owns(folder, inodes))
                return $"{ReadName(folder)} (pid {processId})";
        }
        return "a process of another user or container";
    }

    private static bool Owns(string processFolder, HashSet<string> inodes)
    {
        try
        {
            return Directory.EnumerateFiles(Path.Combine(processFolder, "fd"))
                .Any(descriptor => File.ResolveLinkTarget(descriptor, returnFinalTarget: false) is { } target
                    && inodes.Contains(Path.GetFileName(target.FullName)));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It ended meanwhile, or is not ours to look into.
            return false;
        }
    }

    private static string ReadName(string processFolder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(processFolder, "comm")).Trim();
        }
        catch (IOException)
        {
            return "a process that just ended";
        }
    }
}
