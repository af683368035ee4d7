using System.Globalization;

namespace Aspire.Hosting.Running;

/// <summary>
/// Identifies a process across AppHosts: <c>pid, start time, boot, stop signal</c>, one per line. A pid alone may belong to somebody else by
/// now; together with its start time (proc(5), field 22 of stat) and the boot it does not.
/// </summary>
internal sealed record PidFile(int ProcessId, long StartTime, string BootId, int StopSignal)
{
    public static PidFile Of(int processId, int stopSignal) => new(processId, ReadStartTime(processId) ?? 0, CurrentBootId(), stopSignal);

    public static PidFile? Read(string path)
    {
        var lines = File.ReadAllLines(path);
        return lines.Length >= 4
            && int.TryParse(lines[0], CultureInfo.InvariantCulture, out var processId)
            && long.TryParse(lines[1], CultureInfo.InvariantCulture, out var startTime)
            && int.TryParse(lines[3], CultureInfo.InvariantCulture, out var stopSignal)
            ? new PidFile(processId, startTime, lines[2], stopSignal)
            : null;
    }

    public void Write(string path) =>
        File.WriteAllLines(path, [Text(ProcessId), StartTime.ToString(CultureInfo.InvariantCulture), BootId, Text(StopSignal)]);

    /// <summary>Whether exactly this process still runs; a zombie does not.</summary>
    public bool IsAlive() => BootId == CurrentBootId() && ReadStartTime(ProcessId) == StartTime && !IsZombie(ProcessId);

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string CurrentBootId() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    private static bool IsZombie(int processId) => ReadStat(processId) is ["Z", ..];

    private static long? ReadStartTime(int processId) =>
        ReadStat(processId) is { Length: > 19 } fields ? long.Parse(fields[19], CultureInfo.InvariantCulture) : null;

    /// <summary>The fields of stat from the third (state) on: the second, the name, may contain spaces and parentheses.</summary>
    private static string[]? ReadStat(int processId)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{processId}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null;
        }
    }
}
