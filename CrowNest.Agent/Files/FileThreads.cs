using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using CrowNest.Agent.Processes;

namespace CrowNest.Agent.Files;

/// <summary>
/// Threads that touch files as the sandbox's user and as nobody else. Linux keeps the file system's uid per thread; the ones of
/// Kestrel stay root and must not open a path. They are created before the user's first process: later a fork bomb may hold every
/// process id.
/// </summary>
internal sealed unsafe partial class FileThreads(uint uid, uint gid)
{
    /// <summary>Jobs are short (a call or a block), so that a few threads serve any number of transfers.</summary>
    private const int Count = 3;

    private readonly object _gate = new();
    private readonly Queue<Action> _jobs = new();
    private ExceptionDispatchInfo? _failure;
    private int _starting = Count;

    internal uint Uid => uid;

    internal uint Gid => gid;

    /// <exception cref="IOException">the threads could not become the user</exception>
    internal void Start()
    {
        for (int i = 0; i < Count; i++)
            new Thread(Serve, 512 * 1024) { IsBackground = true, Name = "files" }.Start();
        lock (_gate)
        {
            while (_starting > 0) Monitor.Wait(_gate);
        }
        _failure?.Throw();
        // A change of the file system's uid resets it to what fs.suid_dumpable says.
        Libc.Check(Libc.prctl(Libc.PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)");
    }

    /// <summary>Runs one short piece of work as the user; waits its turn behind others, first come, first served.</summary>
    internal Task<T> RunAsync<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _jobs.Enqueue(() =>
            {
                try
                {
                    done.SetResult(work());
                }
                catch (Exception e)
                {
                    done.SetException(e);
                }
            });
            Monitor.Pulse(_gate);
        }
        return done.Task;
    }

    internal Task RunAsync(Action work) => RunAsync(() =>
    {
        work();
        return 0;
    });

    private void Serve()
    {
        try
        {
            BecomeUser();
        }
        catch (IOException e)
        {
            _failure = ExceptionDispatchInfo.Capture(e);
        }
        lock (_gate)
        {
            _starting--;
            Monitor.PulseAll(_gate);
        }
        while (true)
        {
            Action job;
            lock (_gate)
            {
                while (_jobs.Count == 0) Monitor.Wait(_gate);
                job = _jobs.Dequeue();
            }
            job();
        }
    }

    /// <summary>
    /// Raw calls: the C library would change all threads. Group before user, which takes the right to do so. From setfsuid on, the
    /// kernel withholds this thread's capabilities over files (capabilities(7)), so root's rights do not help it either.
    /// </summary>
    private void BecomeUser()
    {
        bool x64 = FileCalls.IsX64;
        Libc.Check((int)syscall(x64 ? 116 : 159, 0, 0, 0), "setgroups");
        _ = setfsgid(gid);
        _ = setfsuid(uid);
        // -1 changes nothing and answers what is in force.
        if (setfsuid(uint.MaxValue) != (int)uid)
        {
            // gVisor has no setfsuid. The effective uid does the same; real and saved uid stay root's, so nobody may signal us.
            Libc.Check((int)syscall(x64 ? 119 : 149, -1, (nint)gid, -1), "setresgid");
            Libc.Check((int)syscall(x64 ? 117 : 147, -1, (nint)uid, -1), "setresuid");
            if (syscall(x64 ? 107 : 175, 0, 0, 0) != (nint)uid) throw new IOException("the file threads did not become the user");
        }
        else if (setfsgid(uint.MaxValue) != (int)gid)
        {
            throw new IOException("the file threads did not get the user's group");
        }
    }

    [LibraryImport("libc")]
    private static partial int setfsuid(uint uid);

    [LibraryImport("libc")]
    private static partial int setfsgid(uint gid);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint a, nint b, nint c);
}
