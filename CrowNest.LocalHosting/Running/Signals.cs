using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Aspire.Hosting.Running;

/// <summary>kill(2).</summary>
internal static partial class Signals
{
    public const int Interrupt = 2;
    public const int Kill = 9;
    public const int Terminate = 15;

    private const int NoSuchProcess = 3;

    /// <summary>The name as setpriv(1) and kill(1) know it.</summary>
    public static string NameOf(int signal) => signal switch
    {
        Interrupt => "INT",
        Kill => "KILL",
        Terminate => "TERM",
        _ => throw new ArgumentOutOfRangeException(nameof(signal), signal, "Processes are stopped by SIGINT, SIGTERM or SIGKILL."),
    };

    /// <summary>Sends a signal to a process; false when there is no such process.</summary>
    public static bool Send(int processId, int signal)
    {
        if (SystemKill(processId, signal) == 0)
            return true;
        var error = Marshal.GetLastPInvokeError();
        return error == NoSuchProcess ? false : throw new Win32Exception(error, $"kill({processId}, {signal})");
    }

    /// <summary>Sends a signal to a process group; false when it is empty.</summary>
    public static bool SendToGroup(int groupId, int signal) => Send(-groupId, signal);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SystemKill(int processId, int signal);
}
