using System.Runtime.InteropServices;
using CrowNest.Agent.Processes;

namespace CrowNest.Agent.Commands;

/// <summary>The reading end of a command's stdout or stderr. Only used under the lock of its <see cref="CommandOutput"/>.</summary>
internal sealed unsafe class OutputPipe(int fd, OutputKind kind, CommandOutput output, Reactor reactor) : IReadable
{
    private static readonly int s_nowhere = Libc.open("/dev/null", Libc.O_WRONLY | Libc.O_CLOEXEC);

    private bool _watched;
    private bool _closed;

    internal OutputKind Kind => kind;

    public void OnReadable() => output.OnReadable(this);

    /// <summary>Bytes read, 0 when nothing is there right now. Closes itself when no writer is left.</summary>
    internal int Read(Span<byte> into)
    {
        while (!_closed)
        {
            nint n;
            fixed (byte* p = into) n = Libc.read(fd, p, (nuint)into.Length);
            if (n > 0) return (int)n;
            if (n < 0 && Marshal.GetLastPInvokeError() == Libc.EINTR) continue;
            if (n < 0 && Marshal.GetLastPInvokeError() == Libc.EAGAIN) return 0;
            Close();
        }
        return 0;
    }

    /// <summary>Bytes that wait in the pipe at this moment.</summary>
    internal int Waiting()
    {
        int waiting = 0;
        return !_closed && Libc.ioctl(fd, Libc.FIONREAD, &waiting) == 0 ? waiting : 0;
    }

    /// <summary>Throws away what is in the pipe, without a copy; what a command left behind may write for as long as it lives.</summary>
    internal void Drop()
    {
        if (_closed) return;
        nint n = Libc.splice(fd, null, s_nowhere, null, 1 << 20, Libc.SPLICE_F_MOVE | Libc.SPLICE_F_NONBLOCK);
        if (n < 0 && Marshal.GetLastPInvokeError() is Libc.EAGAIN or Libc.EINTR) return;
        if (n <= 0) Close();
    }

    internal void Resume()
    {
        if (_closed || _watched) return;
        _watched = true;
        reactor.Watch(fd, this);
    }

    internal void Pause()
    {
        if (_closed || !_watched) return;
        _watched = false;
        reactor.Unwatch(fd);
    }

    internal void Close()
    {
        if (_closed) return;
        Pause();
        _closed = true;
        _ = Libc.close(fd);
    }
}
