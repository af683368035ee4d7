using System.Globalization;

namespace CrowNest.Bench;

/// <summary>What /proc tells of this machine and its processes.</summary>
internal static class Machine
{
    public static string Describe()
    {
        var model = File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim();
        var load = File.ReadAllText("/proc/loadavg").Split(' ')[0];
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Environment.ProcessorCount} cores ({model ?? "unknown CPU"}), {MeminfoKb("MemTotal") / 1024 / 1024} GiB, "
            + $"kernel {Environment.OSVersion.Version}, load {load} at start");
    }

    /// <summary>Memory that could be given to new processes, in MiB.</summary>
    public static double AvailableMiB() => MeminfoKb("MemAvailable") / 1024.0;

    /// <summary>Resident memory of a process, in MiB.</summary>
    public static double ResidentMiB(int processId) =>
        FieldKb($"/proc/{processId}/status", "VmRSS") / 1024.0;

    private static long MeminfoKb(string name) => FieldKb("/proc/meminfo", name);

    private static long FieldKb(string file, string name)
    {
        var line = File.ReadLines(file).First(l => l.StartsWith(name + ":", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
