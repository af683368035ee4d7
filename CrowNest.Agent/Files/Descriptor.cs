namespace CrowNest.Agent.Files;

/// <summary>Owns a file descriptor: closed once, by whoever is first.</summary>
internal sealed class Descriptor(int fd) : IDisposable
{
    private int _fd = fd;

    internal int Fd => _fd >= 0 ? _fd : throw new ObjectDisposedException(nameof(Descriptor));

    public void Dispose()
    {
        int fd = Interlocked.Exchange(ref _fd, -1);
        if (fd >= 0) FileCalls.Close(fd);
    }
}
