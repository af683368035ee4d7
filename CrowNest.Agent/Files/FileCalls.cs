using System.Buffers;
using System.Runtime.InteropServices;

namespace CrowNest.Agent.Files;

/// <summary>
/// The system calls of file operations. Names are bytes, as the kernel has them; every call answers a result or, below zero, the
/// negative errno.
/// </summary>
internal static unsafe partial class FileCalls
{
    internal const int EPERM = 1, ENOENT = 2, EINTR = 4, ENXIO = 6, EAGAIN = 11, EACCES = 13, EBUSY = 16, EEXIST = 17, EXDEV = 18,
        ENOTDIR = 20, EISDIR = 21, EINVAL = 22, EMFILE = 24, ETXTBSY = 26, EFBIG = 27, ENOSPC = 28, EMLINK = 31, ENAMETOOLONG = 36,
        ENOSYS = 38, ENOTEMPTY = 39, ELOOP = 40, EOPNOTSUPP = 95, ESTALE = 116, EDQUOT = 122;

    internal const int O_RDONLY = 0, O_WRONLY = 1, O_CREAT = 0x40, O_EXCL = 0x80, O_NONBLOCK = 0x800, O_PATH = 0x200000;
    internal const uint RENAME_NOREPLACE = 1;
    internal const int MaxPath = 4096, MaxName = 255;

    private const int O_CLOEXEC = 0x80000, O_NOCTTY = 0x100;
    private const int AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_SYMLINK_FOLLOW = 0x400, AT_EMPTY_PATH = 0x1000;
    private const uint STATX_BASIC_STATS = 0x7FF;
    private const ulong RESOLVE_NO_MAGICLINKS = 2, RESOLVE_BENEATH = 8;
    private const nint SYS_openat2 = 437;

    // The two machines that the agent is built for number these differently.
    internal static readonly int O_DIRECTORY = IsX64 ? 0x10000 : 0x4000;
    internal static readonly int O_NOFOLLOW = IsX64 ? 0x20000 : 0x8000;
    internal static readonly int O_TMPFILE = 0x400000 | O_DIRECTORY;

    internal static bool IsX64 => RuntimeInformation.ProcessArchitecture == Architecture.X64;

    /// <summary>openat(2), always close-on-exec; an empty name is the directory itself.</summary>
    internal static int Open(int directory, ReadOnlySpan<byte> name, int flags, uint mode = 0)
    {
        using var path = new CString(name.IsEmpty ? "."u8 : name, stackalloc byte[CString.OnStack]);
        fixed (byte* p = path)
        {
            int fd;
            while ((fd = Result(openat(directory, p, flags | O_CLOEXEC | O_NOCTTY, mode))) == -EINTR) { }
            return fd;
        }
    }

    /// <summary>openat2(2) that cannot leave <paramref name="root"/>: -EXDEV when the path would.</summary>
    internal static int OpenBeneath(int root, ReadOnlySpan<byte> path, int flags)
    {
        using var name = new CString(path.IsEmpty ? "."u8 : path, stackalloc byte[CString.OnStack]);
        // struct open_how { u64 flags, mode, resolve; }
        var how = stackalloc ulong[3];
        how[0] = (uint)(flags | O_CLOEXEC);
        how[1] = 0;
        how[2] = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        fixed (byte* p = name)
        {
            int fd;
            while ((fd = Result((int)syscall(SYS_openat2, root, (nint)p, (nint)how, 3 * sizeof(ulong), 0))) == -EINTR) { }
            return fd;
        }
    }

    /// <summary>Opens what an O_PATH descriptor stands for: the very inode that was looked at, by no name.</summary>
    internal static int Reopen(int fd, int flags)
    {
        Span<byte> link = stackalloc byte[32];
        return Open(AT_FDCWD, SelfLink(fd, link), flags | O_NONBLOCK);
    }

    internal static int Stat(int directory, ReadOnlySpan<byte> name, out FileNode node)
    {
        using var path = new CString(name, stackalloc byte[CString.OnStack]);
        var buffer = stackalloc byte[256];
        fixed (byte* p = path)
        {
            int result = Result(statx(directory, p, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC_STATS, buffer));
            node = result < 0 ? default : new FileNode(
                *(ulong*)(buffer + 32), *(ushort*)(buffer + 28), *(uint*)(buffer + 20), *(uint*)(buffer + 24), *(long*)(buffer + 40),
                *(long*)(buffer + 112), *(uint*)(buffer + 120));
            return result;
        }
    }

    /// <summary>Looks at an open descriptor, also one of a link.</summary>
    internal static int Stat(int fd, out FileNode node) => Stat(fd, default, out node);

    /// <summary>Length of the target, -EINVAL when it is no link. A target fits <see cref="MaxPath"/> bytes.</summary>
    internal static int ReadLink(int directory, ReadOnlySpan<byte> name, Span<byte> target)
    {
        using var path = new CString(name, stackalloc byte[CString.OnStack]);
        fixed (byte* p = path, t = target) return Result((int)readlinkat(directory, p, t, (nuint)target.Length));
    }

    internal static int MakeDirectory(int directory, ReadOnlySpan<byte> name, uint mode)
    {
        using var path = new CString(name, stackalloc byte[CString.OnStack]);
        fixed (byte* p = path) return Result(mkdirat(directory, p, mode));
    }

    internal static int Unlink(int directory, ReadOnlySpan<byte> name, bool isDirectory = false)
    {
        using var path = new CString(name, stackalloc byte[CString.OnStack]);
        fixed (byte* p = path) return Result(unlinkat(directory, p, isDirectory ? AT_REMOVEDIR : 0));
    }

    internal static int Rename(int fromDirectory, ReadOnlySpan<byte> from, int toDirectory, ReadOnlySpan<byte> to, uint flags)
    {
        using var source = new CString(from, stackalloc byte[CString.OnStack]);
        using var target = new CString(to, stackalloc byte[CString.OnStack]);
        fixed (byte* s = source, t = target) return Result(renameat2(fromDirectory, s, toDirectory, t, flags));
    }

    /// <summary>Another name for a file; a link is not followed.</summary>
    internal static int Link(int fromDirectory, ReadOnlySpan<byte> from, int toDirectory, ReadOnlySpan<byte> to)
    {
        using var source = new CString(from, stackalloc byte[CString.OnStack]);
        using var target = new CString(to, stackalloc byte[CString.OnStack]);
        fixed (byte* s = source, t = target) return Result(linkat(fromDirectory, s, toDirectory, t, 0));
    }

    /// <summary>Names an unnamed file (O_TMPFILE). By /proc: AT_EMPTY_PATH wants a capability that the agent does not have.</summary>
    internal static int LinkUnnamed(int fd, int toDirectory, ReadOnlySpan<byte> to)
    {
        Span<byte> link = stackalloc byte[32];
        using var source = new CString(SelfLink(fd, link), stackalloc byte[CString.OnStack]);
        using var target = new CString(to, stackalloc byte[CString.OnStack]);
        fixed (byte* s = source, t = target) return Result(linkat(AT_FDCWD, s, toDirectory, t, AT_SYMLINK_FOLLOW));
    }

    internal static int MakeLink(ReadOnlySpan<byte> target, int directory, ReadOnlySpan<byte> name)
    {
        using var content = new CString(target, stackalloc byte[CString.OnStack]);
        using var path = new CString(name, stackalloc byte[CString.OnStack]);
        fixed (byte* c = content, p = path) return Result(symlinkat(c, directory, p));
    }

    internal static int ChangeMode(int fd, uint mode) => Result(fchmod(fd, mode));

    /// <summary>Sets the modification time; the access time becomes now.</summary>
    internal static int SetModified(int fd, long seconds, uint nanoseconds)
    {
        const long UTIME_NOW = 0x3FFFFFFF;
        var times = stackalloc long[4] { 0, UTIME_NOW, seconds, nanoseconds };
        return Result(futimens(fd, times));
    }

    internal static int Read(int fd, Span<byte> buffer, long offset)
    {
        fixed (byte* p = buffer)
        {
            int n;
            while ((n = Result((int)pread(fd, p, (nuint)buffer.Length, offset))) == -EINTR) { }
            return n;
        }
    }

    /// <summary>Writes all of it at the file's position; 0, or what went wrong.</summary>
    internal static int Write(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes)
        {
            for (int at = 0; at < bytes.Length;)
            {
                int n = Result((int)write(fd, p + at, (nuint)(bytes.Length - at)));
                if (n < 0 && n != -EINTR) return n;
                if (n > 0) at += n;
            }
        }
        return 0;
    }

    internal static int ReadDirectory(int fd, Span<byte> buffer)
    {
        fixed (byte* p = buffer) return Result((int)getdents64(fd, p, (nuint)buffer.Length));
    }

    internal static void Close(int fd) => _ = close(fd);

    private static ReadOnlySpan<byte> SelfLink(int fd, Span<byte> buffer)
    {
        "/proc/self/fd/"u8.CopyTo(buffer);
        _ = System.Buffers.Text.Utf8Formatter.TryFormat(fd, buffer[14..], out int digits);
        return buffer[..(14 + digits)];
    }

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    /// <summary>A name with its terminating NUL, on the stack unless it is uncommonly long.</summary>
    private readonly ref struct CString
    {
        internal const int OnStack = 272;

        private readonly Span<byte> _bytes;
        private readonly byte[]? _rented;

        internal CString(ReadOnlySpan<byte> name, Span<byte> stack)
        {
            if (name.Length >= stack.Length) _rented = ArrayPool<byte>.Shared.Rent(name.Length + 1);
            _bytes = _rented ?? stack;
            name.CopyTo(_bytes);
            _bytes[name.Length] = 0;
        }

        public ref byte GetPinnableReference() => ref MemoryMarshal.GetReference(_bytes);

        public void Dispose()
        {
            if (_rented is not null) ArrayPool<byte>.Shared.Return(_rented);
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int openat(int directory, byte* path, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint a, nint b, nint c, nint d, nint e);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int statx(int directory, byte* path, int flags, uint mask, byte* buffer);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint readlinkat(int directory, byte* path, byte* buffer, nuint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mkdirat(int directory, byte* path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unlinkat(int directory, byte* path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int renameat2(int fromDirectory, byte* from, int toDirectory, byte* to, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int linkat(int fromDirectory, byte* from, int toDirectory, byte* to, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int symlinkat(byte* target, int directory, byte* path);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fchmod(int fd, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int futimens(int fd, long* times);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint pread(int fd, byte* buffer, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int fd, byte* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint getdents64(int fd, byte* buffer, nuint size);

    [LibraryImport("libc")]
    private static partial int close(int fd);
}
