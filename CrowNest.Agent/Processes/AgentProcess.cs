using System.Runtime.InteropServices;

namespace CrowNest.Agent.Processes;

/// <summary>What the agent must be before it serves: unreadable by the user, parent of every orphan, owner of its socket.</summary>
internal static class AgentProcess
{
    internal static void Prepare(AgentOptions options)
    {
        Libc.Check(Libc.prctl(Libc.PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)");
        // Process 1 is that anyway; outside a container it keeps the orphans of the commands in our hands.
        Libc.Check(Libc.prctl(Libc.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)");
        // Whoever started us with a closed stdin, stdout or stderr: no pipe of ours may take such a number.
        int fd;
        while ((fd = Libc.open("/dev/null", Libc.O_WRONLY)) is >= 0 and <= 2) { }
        if (fd > 2) _ = Libc.close(fd);
        // The socket becomes 0600 at the moment of its creation, not some time later.
        _ = Libc.umask(0x3F);
        PrepareSocketDirectory(options.Socket);
    }

    private static void PrepareSocketDirectory(string socket)
    {
        var directory = Path.GetDirectoryName(Path.GetFullPath(socket))
            ?? throw new IOException($"{socket} has no directory");
        try
        {
            if (!Directory.Exists(directory))
                Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            // A user who can write here can replace the socket by a link and make the worker talk to something else (docs/architecture.md,
            // Isolation).
            if ((File.GetUnixFileMode(directory) & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) != 0)
                throw new IOException($"{directory} must not be writable by group or others");
            File.Delete(socket);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{directory} must belong to the agent's user: {e.Message}", e);
        }
    }

    /// <summary>
    /// SIGTERM ends the agent at once: trees die first, so that nothing survives it outside a container either.
    /// Keep the returned registration for as long as that shall hold.
    /// </summary>
    internal static PosixSignalRegistration ExitOnTermination(string socket, ChildProcesses children) =>
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            children.KillAllTrees();
            File.Delete(socket);
            Libc._exit(0);
        });
}
