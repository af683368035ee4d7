using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

[assembly: DisableRuntimeMarshalling]
[assembly: SupportedOSPlatform("linux")]

namespace CrowNest.Agent.Processes;

/// <summary>The system calls the framework has no name for. All of them exist alike in glibc on x64 and arm64.</summary>
internal static unsafe partial class Libc
{
    internal const int EINTR = 4, EAGAIN = 11, ECHILD = 10, ENOENT = 2, EEXIST = 17;
    internal const int SIGKILL = 9, SIGUSR1 = 10, SIGTERM = 15;
    internal const int O_CLOEXEC = 0x80000, O_NONBLOCK = 0x800, O_WRONLY = 1, O_RDONLY = 0;
    internal const int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CLOEXEC = 0x80000;
    internal const uint EPOLLIN = 1;
    internal const int WEXITED = 4, WNOWAIT = 0x1000000, P_ALL = 0;
    internal const int PR_SET_DUMPABLE = 4, PR_SET_CHILD_SUBREAPER = 36;
    internal const int F_SETFL = 4;
    internal const nuint FIONREAD = 0x541B;
    internal const uint SPLICE_F_MOVE = 1, SPLICE_F_NONBLOCK = 2;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int pipe2(int* fds, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint read(int fd, byte* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint splice(int from, long* fromOffset, int to, long* toOffset, nuint length, uint flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ioctl(int fd, nuint request, int* argument);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fchmod(int fd, uint mode);

    [LibraryImport("libc")]
    internal static partial uint umask(uint mask);

    [LibraryImport("libc")]
    internal static partial uint geteuid();

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int kill(int pid, int signal);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int prctl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_ctl(int epoll, int operation, int fd, byte* registration);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_wait(int epoll, byte* events, int most, int timeoutMs);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int waitid(int kind, int id, byte* info, int options);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int waitpid(int pid, int* status, int options);

    [LibraryImport("libc")]
    internal static partial int posix_spawn(int* pid, byte* path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc")]
    internal static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    internal static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc")]
    internal static partial int posix_spawn_file_actions_adddup2(byte* actions, int from, int to);

    [LibraryImport("libc")]
    internal static partial int posix_spawn_file_actions_addopen(byte* actions, int fd, byte* path, int flags, uint mode);

    [LibraryImport("libc")]
    internal static partial void _exit(int code);

    /// <summary>Throws what the failed call of this thread left in errno, in words of the system.</summary>
    internal static void Check(int result, string call)
    {
        if (result < 0) throw Failure(call, Marshal.GetLastPInvokeError());
    }

    internal static IOException Failure(string call, int errno) => new($"{call}: {Marshal.GetPInvokeErrorMessage(errno)}");
}
