using System.Globalization;

namespace CrowNest.Agent.Processes;

/// <summary>Starts one <c>crownest-launch</c> per command (docs/protocols.md 2.3).</summary>
internal sealed unsafe class Launcher(AgentOptions options, ChildProcesses children, Reactor reactor)
{
    // rw--w--w-: the user may open /dev/stdout, which is this pipe, although root made it (CAP_CHOWN is not ours to use).
    private const uint WriteEndMode = 0x192;
    private const int StatusFd = 3;

    // posix_spawn_file_actions_t has 80 bytes in glibc.
    private const int FileActionsSize = 256;

    private readonly string _shell = File.Exists("/bin/bash") ? "/bin/bash" : "/bin/sh";

    internal sealed record Launch(int Pid, LaunchStatus Status);

    /// <summary>Both ends close on execve; reading does not block, writing does (it is the user's end).</summary>
    internal readonly record struct Pipe(int Read, int Write)
    {
        internal static Pipe Create()
        {
            var ends = stackalloc int[2];
            Libc.Check(Libc.pipe2(ends, Libc.O_CLOEXEC), "pipe2");
            _ = Libc.fcntl(ends[0], Libc.F_SETFL, Libc.O_NONBLOCK);
            _ = Libc.fchmod(ends[1], WriteEndMode);
            return new Pipe(ends[0], ends[1]);
        }

        internal void Close()
        {
            _ = Libc.close(Read);
            _ = Libc.close(Write);
        }
    }

    /// <summary>
    /// Starts the launcher and returns at once; <see cref="LaunchStatus.Outcome"/> says whether the shell runs. The writing ends are
    /// closed, the reading ends stay with the caller.
    /// </summary>
    internal Launch Start(
        Pipe stdout, Pipe stderr, string command, string cwd, IReadOnlyList<string> environment, Action<LauncherEnd> ended)
    {
        Pipe status;
        try
        {
            status = Pipe.Create();
        }
        catch (IOException)
        {
            _ = Libc.close(stdout.Write);
            _ = Libc.close(stderr.Write);
            throw;
        }

        int pid;
        try
        {
            pid = children.Spawn(() => Spawn(stdout.Write, stderr.Write, status.Write, command, cwd, environment), ended);
        }
        catch (IOException)
        {
            _ = Libc.close(status.Read);
            throw;
        }
        finally
        {
            _ = Libc.close(stdout.Write);
            _ = Libc.close(stderr.Write);
            _ = Libc.close(status.Write);
        }

        var outcome = new LaunchStatus(status.Read, cwd, reactor);
        outcome.Watch();
        return new Launch(pid, outcome);
    }

    internal bool Signal(int pid, int signal) => children.Signal(pid, signal);

    private int Spawn(int stdout, int stderr, int status, string command, string cwd, IReadOnlyList<string> environment)
    {
        static string Text(ulong number) => number.ToString(CultureInfo.InvariantCulture);

        using var arguments = new Utf8Block(
        [
            "crownest-launch", Text(options.Uid), Text(options.Gid), Text(options.MaxProcesses), Text(options.MaxOpenFiles),
            Text(options.MaxFileBytes), options.Workspace, cwd, Text((ulong)environment.Count), .. environment,
            _shell, "-c", command,
        ]);
        using var paths = new Utf8Block([options.Launcher, "/dev/null"]);
        byte* none = null;
        var actions = stackalloc byte[FileActionsSize];
        _ = Libc.posix_spawn_file_actions_init(actions);
        try
        {
            int pid;
            // No source is 0, 1 or 2 (AgentProcess.Prepare), so no dup2 overwrites the source of a later one.
            _ = Libc.posix_spawn_file_actions_addopen(actions, 0, paths.Pointers[1], Libc.O_RDONLY, 0);
            _ = Libc.posix_spawn_file_actions_adddup2(actions, stdout, 1);
            _ = Libc.posix_spawn_file_actions_adddup2(actions, stderr, 2);
            _ = Libc.posix_spawn_file_actions_adddup2(actions, status, StatusFd);
            int errno = Libc.posix_spawn(&pid, paths.Pointers[0], actions, null, arguments.Pointers, &none);
            if (errno != 0) throw Libc.Failure($"start {options.Launcher}", errno);
            return pid;
        }
        finally
        {
            _ = Libc.posix_spawn_file_actions_destroy(actions);
        }
    }
}
