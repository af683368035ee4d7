using System.Runtime.InteropServices;

namespace CrowNest.Agent.Processes;

/// <summary>How a launcher ended: with a code, or by a signal it sent to itself (docs/protocols.md 2.3).</summary>
internal readonly record struct LauncherEnd(int? Code, int? Signal)
{
    internal static LauncherEnd FromWaitStatus(int status) =>
        (status & 0x7F) == 0 ? new((status >> 8) & 0xFF, null) : new(null, status & 0x7F);
}

/// <summary>
/// Every child of the agent: the launchers, and as process 1 whatever a command left behind. One thread reaps them all, so a process
/// id is only ever signalled while it is certainly still ours.
/// </summary>
internal sealed unsafe class ChildProcesses
{
    /// <summary>Without children there is nothing to wait for; what an engine's own exec orphans here is noticed this much later.</summary>
    private const int ChildlessPollMs = 5000;

    private readonly object _gate = new();
    private readonly Dictionary<int, Action<LauncherEnd>> _launchers = [];

    internal void Start() => new Thread(Reap, 256 * 1024) { IsBackground = true, Name = "reaper" }.Start();

    /// <summary>Starts a launcher. <paramref name="ended"/> runs once, on the reaper's thread, and must not block.</summary>
    internal int Spawn(Func<int> spawn, Action<LauncherEnd> ended)
    {
        int pid;
        lock (_gate)
        {
            pid = spawn();
            _launchers.Add(pid, ended);
            Monitor.Pulse(_gate);
        }
        return pid;
    }

    /// <summary>Signals a launcher; false when it has ended already.</summary>
    internal bool Signal(int pid, int signal)
    {
        lock (_gate)
            return _launchers.ContainsKey(pid) && Libc.kill(pid, signal) == 0;
    }

    internal void KillAllTrees()
    {
        lock (_gate)
        {
            foreach (int pid in _launchers.Keys)
                _ = Libc.kill(pid, Libc.SIGUSR1);
        }
    }

    private void Reap()
    {
        // siginfo_t is 128 bytes everywhere; si_pid is the fifth word on every 64-bit Linux.
        var info = stackalloc byte[128];
        while (true)
        {
            if (Libc.waitid(Libc.P_ALL, 0, info, Libc.WEXITED | Libc.WNOWAIT) != 0)
            {
                if (Marshal.GetLastPInvokeError() == Libc.ECHILD) AwaitChild();
                continue;
            }

            int pid = *(int*)(info + 16), status;
            Action<LauncherEnd>? ended;
            lock (_gate)
            {
                _launchers.Remove(pid, out ended);
                while (Libc.waitpid(pid, &status, 0) < 0 && Marshal.GetLastPInvokeError() == Libc.EINTR) { }
            }
            ended?.Invoke(LauncherEnd.FromWaitStatus(status));
        }
    }

    private void AwaitChild()
    {
        lock (_gate)
        {
            if (_launchers.Count == 0) Monitor.Wait(_gate, ChildlessPollMs);
        }
    }
}
