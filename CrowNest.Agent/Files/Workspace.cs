using System.Text;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files;

/// <summary>A directory that is held open, and a name in it that has been followed to its end, where links are to be.</summary>
internal sealed record Place(Descriptor Directory, byte[] Name) : IDisposable
{
    public void Dispose() => Directory.Dispose();
}

/// <summary>
/// The directory that everything happens beneath, held open from the start. Its methods resolve paths, and run on
/// <see cref="FileThreads"/> only.
/// </summary>
internal sealed class Workspace
{
    internal const uint NewDirectoryMode = 0x1ED; // 0755
    internal const uint NewFileMode = 0x1A4; // 0644

    // Renames anywhere in the system make openat2(2) give up now and then.
    private const int MaxTries = 8;

    private readonly byte[] _absolute;

    private Workspace(string path, int root)
    {
        AbsolutePath = path;
        Root = root;
        _absolute = Encoding.UTF8.GetBytes(path);
    }

    internal string AbsolutePath { get; }

    /// <summary>O_PATH descriptor; never closed.</summary>
    internal int Root { get; }

    internal MemoryRoom Memory { get; } = MemoryRoom.Open();

    /// <exception cref="IOException">there is no such directory</exception>
    internal static Workspace Open(string path)
    {
        int root = FileCalls.Open(-1, Encoding.UTF8.GetBytes(path), FileCalls.O_PATH | FileCalls.O_DIRECTORY);
        return root >= 0 ? new Workspace(path, root) : throw Processes.Libc.Failure($"workspace {path}", -root);
    }

    /// <summary>An O_PATH descriptor of what the path leads to, links followed; or a negative errno, -EXDEV when that is outside.</summary>
    internal int TryOpen(ReadOnlySpan<byte> relative, int flags = 0)
    {
        for (int tries = 0; tries < MaxTries; tries++)
        {
            int fd = FileCalls.OpenBeneath(Root, relative, flags | FileCalls.O_PATH);
            if (fd == -FileCalls.EAGAIN) continue;
            // Outside, or an absolute link that may yet lead inside; or a kernel or gVisor without the call.
            if (fd is -FileCalls.EXDEV or -FileCalls.ENOSYS or -FileCalls.EPERM) break;
            return fd;
        }
        using var walk = new PathWalk(this);
        if (flags == 0) return walk.Walk(relative, WalkEnd.Node);
        int result = walk.Walk(relative, WalkEnd.Directory);
        return result < 0 ? result : FileCalls.Open(walk.Current, default, FileCalls.O_PATH);
    }

    /// <summary>Opens what exists at a path and says what it is.</summary>
    /// <exception cref="AgentException">file_not_found, path_outside_workspace, forbidden</exception>
    internal Descriptor Open(FilePath path, out FileNode node)
    {
        int fd = TryOpen(path.Relative);
        if (fd < 0) throw FileErrors.Of(fd, path.Absolute);
        var descriptor = new Descriptor(fd);
        int result = FileCalls.Stat(fd, out node);
        if (result >= 0) return descriptor;
        descriptor.Dispose();
        throw FileErrors.Of(result, path.Absolute);
    }

    /// <summary>Opens a directory for reading its entries.</summary>
    /// <exception cref="AgentException">file_not_found, path_not_directory, path_outside_workspace, forbidden</exception>
    internal Descriptor OpenDirectory(FilePath path)
    {
        using var found = Open(path, out var node);
        if (node.Kind != NodeKind.Directory) throw new AgentException(AgentError.PathNotDirectory(path.Absolute));
        int fd = FileCalls.Open(found.Fd, default, FileCalls.O_RDONLY | FileCalls.O_DIRECTORY);
        return fd >= 0 ? new Descriptor(fd) : throw FileErrors.Of(fd, path.Absolute);
    }

    /// <summary>The directory that holds a path, and the path's name in it as it is: a link there is not followed.</summary>
    /// <exception cref="AgentException">invalid_request for the workspace itself, else what <paramref name="fault"/> says</exception>
    internal Place OpenPlace(FilePath path, Func<int, string, AgentException> fault)
    {
        if (path.IsRoot) throw new AgentException(AgentError.InvalidRequest($"{path.Absolute} itself cannot be changed"));
        int fd = TryOpen(path.Parent, FileCalls.O_DIRECTORY);
        return fd >= 0 ? new Place(new Descriptor(fd), path.Name.ToArray()) : throw fault(fd, path.Absolute);
    }

    /// <summary>
    /// Where a file of this path has to be written: as open(2) with O_CREAT would find it, through links. Null when a directory on the
    /// way is missing and was not to be made.
    /// </summary>
    internal Place? TryFindPlace(FilePath path, bool makeParents)
    {
        int fd = TryOpen(path.Parent, FileCalls.O_DIRECTORY);
        if (fd >= 0)
        {
            Span<byte> target = stackalloc byte[1];
            int length = FileCalls.ReadLink(fd, path.Name, target);
            if (length < 0) return new Place(new Descriptor(fd), path.Name.ToArray());
            FileCalls.Close(fd);
        }
        else if (fd != -FileCalls.ENOENT)
        {
            throw FileErrors.OfParent(fd, path.Absolute);
        }

        using var walk = new PathWalk(this, makeParents ? NewDirectoryMode : null);
        int result = walk.Walk(path.Relative, WalkEnd.Name);
        if (result == -FileCalls.ENOENT) return null;
        if (result < 0) throw FileErrors.OfParent(result, path.Absolute);
        // A link that ends in "..", "." or "/" is a directory, if anything.
        if (walk.Name.Length == 0) throw new AgentException(AgentError.PathIsDirectory(path.Absolute));
        int directory = FileCalls.Open(walk.Current, default, FileCalls.O_PATH);
        return directory >= 0 ? new Place(new Descriptor(directory), walk.Name) : throw FileErrors.OfParent(directory, path.Absolute);
    }

    /// <summary>mkdirat(2) and the mode in full: the agent's umask lets nobody but the owner in.</summary>
    internal static int MakeDirectory(int directory, ReadOnlySpan<byte> name, uint mode)
    {
        int result = FileCalls.MakeDirectory(directory, name, mode);
        if (result < 0) return result;
        int made = FileCalls.Open(directory, name, FileCalls.O_RDONLY | FileCalls.O_DIRECTORY | FileCalls.O_NOFOLLOW);
        // Gone or replaced already: then somebody else has decided what it is.
        if (made < 0) return made is -FileCalls.ENOENT or -FileCalls.ENOTDIR or -FileCalls.ELOOP ? 0 : made;
        result = FileCalls.ChangeMode(made, mode);
        FileCalls.Close(made);
        return result;
    }

    /// <summary>What an absolute link target means from the workspace on; false when it is outside.</summary>
    internal bool TryMakeRelative(Span<byte> target, out Span<byte> relative)
    {
        relative = target;
        foreach (var range in _absolute.AsSpan().Split((byte)'/'))
        {
            var expected = _absolute.AsSpan()[range];
            if (expected.IsEmpty) continue;
            relative = SkipToName(relative);
            if (!relative.StartsWith(expected) || (relative.Length > expected.Length && relative[expected.Length] != '/')) return false;
            relative = relative[expected.Length..];
        }
        return true;
    }

    // "/", "//" and "/./" are one step.
    private static Span<byte> SkipToName(Span<byte> path)
    {
        while (path is [(byte)'/', ..] || path is [(byte)'.', (byte)'/', ..]) path = path[1..];
        return path;
    }
}
