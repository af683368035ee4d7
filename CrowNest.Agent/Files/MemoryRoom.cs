using System.Buffers.Text;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files;

/// <summary>
/// Files of a workspace in memory count towards the sandbox's memory, and what exceeds that is not an error of write(2): the kernel
/// kills a process, in an idle sandbox the agent itself. So whoever writes asks here first. Exact it cannot be, other processes take
/// memory too; those are killed before the agent is.
/// </summary>
internal sealed class MemoryRoom
{
    /// <summary>What is left to the agent and to what the kernel counts late.</summary>
    private const long Reserve = 24 << 20;
    private const long CheckEvery = 4 << 20;

    private readonly int _limit;
    private readonly int _usage;
    private readonly int _statistics;
    private readonly byte[] _inactive;
    private readonly byte[] _active;
    private readonly Lock _gate = new();
    private long _unchecked;
    private bool _isFull;

    private MemoryRoom(string limit, string usage, string statistics, string prefix)
    {
        _limit = Open(limit);
        _usage = Open(usage);
        _statistics = Open(statistics);
        _inactive = System.Text.Encoding.ASCII.GetBytes($"\n{prefix}inactive_file ");
        _active = System.Text.Encoding.ASCII.GetBytes($"\n{prefix}active_file ");
    }

    /// <summary>The control group that the agent sees as its own, of either version. Where there is none, there is room.</summary>
    internal static MemoryRoom Open()
    {
        const string Unified = "/sys/fs/cgroup/", Old = "/sys/fs/cgroup/memory/";
        return File.Exists(Old + "memory.limit_in_bytes")
            ? new MemoryRoom(Old + "memory.limit_in_bytes", Old + "memory.usage_in_bytes", Old + "memory.stat", "total_")
            : new MemoryRoom(Unified + "memory.max", Unified + "memory.current", Unified + "memory.stat", "");
    }

    /// <summary>Asks for room to write so many bytes into a file.</summary>
    /// <exception cref="AgentException">quota_exceeded</exception>
    internal void Take(long bytes)
    {
        lock (_gate)
        {
            _unchecked += bytes;
            if (_unchecked >= CheckEvery || _isFull)
            {
                _isFull = Left() is { } left && left - bytes < Reserve;
                _unchecked = 0;
            }
            if (!_isFull) return;
        }
        throw new AgentException(AgentError.QuotaExceeded("the sandbox's memory is full, which its files are part of"));
    }

    private long? Left()
    {
        if (_limit < 0 || _usage < 0) return null;
        Span<byte> buffer = stackalloc byte[4096];
        // "max" is no limit.
        if (!TryNumber(Read(_limit, buffer), out long limit) || !TryNumber(Read(_usage, buffer), out long usage)) return null;
        // What the kernel holds of files elsewhere it gives back when asked.
        var statistics = Read(_statistics, buffer);
        return limit - usage + Value(statistics, _inactive) + Value(statistics, _active);
    }

    private static long Value(ReadOnlySpan<byte> statistics, byte[] name)
    {
        int at = statistics.IndexOf(name);
        return at >= 0 && TryNumber(statistics[(at + name.Length)..], out long value) ? value : 0;
    }

    private static bool TryNumber(ReadOnlySpan<byte> text, out long number) => Utf8Parser.TryParse(text, out number, out _);

    private static ReadOnlySpan<byte> Read(int fd, Span<byte> buffer)
    {
        int n = fd < 0 ? 0 : FileCalls.Read(fd, buffer, 0);
        return buffer[..Math.Max(n, 0)];
    }

    private static int Open(string path) => FileCalls.Open(-1, System.Text.Encoding.ASCII.GetBytes(path), FileCalls.O_RDONLY);
}
