using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CrowNest.Worker.Containers;

/// <summary>
/// A container's main process, held by a pidfd: whatever the kernel does with its number later, this is the process that was meant. Its end
/// is the end of everything in the container, because it is the first process of a pid namespace (pid_namespaces(7)).
/// </summary>
internal sealed partial class ContainerProcess : IDisposable
{
    private const nint PidfdSendSignal = 424, PidfdOpen = 434;
    private const int SigKill = 9;
    private const short PollIn = 1;

    /// <summary>Far more than a process needs; one that hangs in the kernel is left to the engine.</summary>
    private const int EndLimitMs = 5000;

    private readonly SafeFileHandle _pidfd;

    private ContainerProcess(SafeFileHandle pidfd) => _pidfd = pidfd;

    /// <summary>
    /// null: it has ended, or the kernel is older than pidfds (5.3). Who calls this must hear from the container afterwards: only that
    /// proves that the number still meant its process.
    /// </summary>
    public static ContainerProcess? TryOpen(int pid)
    {
        var descriptor = (int)Call(PidfdOpen, pid, 0, 0, 0);
        return descriptor < 0 ? null : new ContainerProcess(new SafeFileHandle(descriptor, ownsHandle: true));
    }

    /// <summary>Ends the container's processes, which takes about a millisecond where the engine's own removal takes fifty.</summary>
    /// <returns>Whether all of them have ended.</returns>
    public Task<bool> KillAsync() => Task.Run(Kill);

    public void Dispose() => _pidfd.Dispose();

    private bool Kill()
    {
        var isHeld = false;
        try
        {
            _pidfd.DangerousAddRef(ref isHeld);
            var descriptor = (int)_pidfd.DangerousGetHandle();
            // One that has ended already is what is wanted: the wait below says so.
            _ = Call(PidfdSendSignal, descriptor, SigKill, 0, 0);
            var watched = new PollEntry { Descriptor = descriptor, Events = PollIn };
            int ready;
            while ((ready = Poll(ref watched, 1, EndLimitMs)) < 0 && Marshal.GetLastPInvokeError() == Interrupted)
            {
            }

            return ready >= 0 ? ready > 0 : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
        finally
        {
            if (isHeld)
            {
                _pidfd.DangerousRelease();
            }
        }
    }

    private const int Interrupted = 4;

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Happened;
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Call(nint number, nint a, nint b, nint c, nint d);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollEntry entries, nuint count, int timeoutMs);
}
