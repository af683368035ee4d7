namespace CrowNest.Agent.Files;

/// <summary>One name that a <see cref="TreeWalk"/> has come to. <see cref="Name"/> is good until the walk goes on.</summary>
internal readonly ref struct TreeEntry
{
    internal required int Directory { get; init; }

    internal required ReadOnlySpan<byte> Name { get; init; }

    /// <summary>From where the walk began.</summary>
    internal required byte[] Path { get; init; }

    /// <summary>Of the name itself, links not followed.</summary>
    internal required FileNode Node { get; init; }
}

/// <summary>
/// Goes through everything beneath a directory, a name at a time, links not followed, in the file system's order. Holds a descriptor
/// and a small buffer per level, however many names there are.
/// </summary>
internal sealed class TreeWalk : IDisposable
{
    private const int BufferSize = 4 * 1024;

    private readonly Stack<(DirectoryReader Reader, byte[] Path)> _levels = new();
    private readonly int _maxDepth;
    private readonly Action<int, byte[]> _unreadable;
    private (byte[] Name, byte[] Path)? _enter;

    /// <param name="unreadable">Told of a directory that cannot be opened, with the negative errno; the walk goes on without it.</param>
    internal TreeWalk(Descriptor root, int maxDepth, Action<int, byte[]> unreadable)
    {
        _maxDepth = maxDepth;
        _unreadable = unreadable;
        _levels.Push((new DirectoryReader(root, BufferSize), []));
    }

    /// <summary>False at the end.</summary>
    internal bool Next(out TreeEntry entry)
    {
        entry = default;
        Descend();
        while (_levels.TryPeek(out var level))
        {
            int result = level.Reader.Next(out var name);
            if (result <= 0)
            {
                // A directory that was removed meanwhile has no entries.
                if (result < 0 && result != -FileCalls.ENOENT) _unreadable(result, level.Path);
                _levels.Pop().Reader.Dispose();
                continue;
            }
            if (FileCalls.Stat(level.Reader.Fd, name, out var node) < 0) continue;
            byte[] path = Join(level.Path, name);
            if (node.Kind == NodeKind.Directory && _levels.Count < _maxDepth) _enter = (name.ToArray(), path);
            entry = new TreeEntry { Directory = level.Reader.Fd, Name = name, Path = path, Node = node };
            return true;
        }
        return false;
    }

    public void Dispose()
    {
        while (_levels.TryPop(out var level)) level.Reader.Dispose();
    }

    private void Descend()
    {
        if (_enter is not { } next) return;
        _enter = null;
        int fd = FileCalls.Open(
            _levels.Peek().Reader.Fd, next.Name, FileCalls.O_RDONLY | FileCalls.O_DIRECTORY | FileCalls.O_NOFOLLOW);
        if (fd >= 0) _levels.Push((new DirectoryReader(new Descriptor(fd), BufferSize), next.Path));
        else if (fd is not (-FileCalls.ENOENT or -FileCalls.ENOTDIR or -FileCalls.ELOOP)) _unreadable(fd, next.Path);
    }

    private static byte[] Join(byte[] directory, ReadOnlySpan<byte> name)
    {
        int start = directory.Length == 0 ? 0 : directory.Length + 1;
        byte[] path = new byte[start + name.Length];
        directory.CopyTo(path, 0);
        if (start > 0) path[start - 1] = (byte)'/';
        name.CopyTo(path.AsSpan(start));
        return path;
    }
}
