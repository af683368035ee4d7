using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace CrowNest.Agent.Processes;

/// <summary>A file descriptor that is read when the kernel says so.</summary>
internal interface IReadable
{
    /// <summary>Runs on the reactor's thread; must not block.</summary>
    void OnReadable();
}

/// <summary>One thread and one epoll for the pipes of all commands: an idle command costs no thread.</summary>
internal sealed unsafe class Reactor
{
    private const int MaxEvents = 64;

    // struct epoll_event { u32 events; u64 data; } is packed on x64 only.
    private static readonly int EventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int DataOffset = EventSize - 8;

    private readonly int _epoll = Libc.epoll_create1(Libc.EPOLL_CLOEXEC);
    private readonly ConcurrentDictionary<int, IReadable> _watched = new();

    internal void Start()
    {
        Libc.Check(_epoll, "epoll_create1");
        new Thread(Loop, 256 * 1024) { IsBackground = true, Name = "pipes" }.Start();
    }

    /// <summary>Begins to watch; from any thread. Level-triggered, so nothing that is readable already is missed.</summary>
    internal void Watch(int fd, IReadable readable)
    {
        var registration = stackalloc byte[16];
        *(uint*)registration = Libc.EPOLLIN;
        *(long*)(registration + DataOffset) = fd;
        _watched[fd] = readable;
        Libc.Check(Libc.epoll_ctl(_epoll, Libc.EPOLL_CTL_ADD, fd, registration), "epoll_ctl");
    }

    /// <summary>
    /// Stops to watch; from any thread. Taking a full command's pipes out of the set is what back-pressure costs: a set with no events
    /// asked for would still report a hang-up, again and again.
    /// </summary>
    internal void Unwatch(int fd)
    {
        _watched.TryRemove(fd, out _);
        var unused = stackalloc byte[16];
        _ = Libc.epoll_ctl(_epoll, Libc.EPOLL_CTL_DEL, fd, unused);
    }

    private void Loop()
    {
        var events = stackalloc byte[MaxEvents * 16];
        while (true)
        {
            // Fewer than zero is EINTR: nothing else can befall a set that is never closed.
            int count = Libc.epoll_wait(_epoll, events, MaxEvents, -1);
            for (int i = 0; i < count; i++)
            {
                int fd = (int)*(long*)(events + i * EventSize + DataOffset);
                if (_watched.TryGetValue(fd, out var readable)) readable.OnReadable();
            }
        }
    }
}
