namespace CrowNest.Agent.Files;

/// <summary>How a walk treats the last component.</summary>
internal enum WalkEnd
{
    /// <summary>It is a directory, and the walk goes into it.</summary>
    Directory,

    /// <summary>It is opened (O_PATH), whatever it is, links followed.</summary>
    Node,

    /// <summary>The walk stops before it and leaves its name, which may not exist. A link is followed first.</summary>
    Name,
}

/// <summary>
/// Resolves a path by hand: one component at a time, on held descriptors. <c>..</c> goes back to the descriptor we came from, an
/// absolute link starts again at the workspace, so there is no way out, whatever is renamed meanwhile. It does what openat2(2) cannot:
/// absolute links that point into the workspace, and missing directories made on the way.
/// </summary>
internal sealed class PathWalk(Workspace workspace, uint? makeDirectories = null) : IDisposable
{
    private const int MaxLinks = 40;
    private const int MaxDepth = FileCalls.MaxPath / 2;

    // Opened directories below the root, innermost last.
    private readonly List<int> _entered = [];
    private readonly Stack<byte[]> _pending = new();

    /// <summary>Where the walk stands; belongs to the walk.</summary>
    internal int Current => _entered.Count > 0 ? _entered[^1] : workspace.Root;

    internal bool IsAtRoot => _entered.Count == 0;

    /// <summary>After <see cref="WalkEnd.Name"/>: the last component; empty when the path ended at a directory already entered.</summary>
    internal byte[] Name { get; private set; } = [];

    /// <summary>
    /// Walks on from where it stands. 0, or for <see cref="WalkEnd.Node"/> a descriptor that is the caller's; or the negative errno,
    /// -EXDEV when the path leads outside.
    /// </summary>
    internal int Walk(ReadOnlySpan<byte> path, WalkEnd end)
    {
        Name = [];
        _pending.Clear();
        Push(path);
        int links = 0;
        while (_pending.TryPop(out var component))
        {
            if (component is [(byte)'.', (byte)'.'])
            {
                if (!Back()) return -FileCalls.EXDEV;
                continue;
            }

            bool isLast = _pending.Count == 0;
            int fd = OpenOrMake(component, isLast, end);
            if (fd == -FileCalls.ENOENT && isLast && end == WalkEnd.Name)
            {
                Name = component;
                return 0;
            }
            if (fd < 0) return fd;
            int result = FileCalls.Stat(fd, out var node);
            if (result < 0 || node.Kind != NodeKind.Directory || (isLast && end == WalkEnd.Name))
            {
                if (result >= 0 && node.Kind == NodeKind.Link)
                {
                    result = ++links > MaxLinks ? -FileCalls.ELOOP : Follow(fd);
                    FileCalls.Close(fd);
                    if (result < 0) return result;
                    continue;
                }
                if (result >= 0 && isLast && end == WalkEnd.Node) return fd;
                FileCalls.Close(fd);
                if (result < 0) return result;
                if (!isLast || end != WalkEnd.Name) return -FileCalls.ENOTDIR;
                Name = component;
                return 0;
            }
            if (_entered.Count == MaxDepth)
            {
                FileCalls.Close(fd);
                return -FileCalls.ENAMETOOLONG;
            }
            _entered.Add(fd);
        }
        return end == WalkEnd.Node ? FileCalls.Open(Current, default, FileCalls.O_PATH) : 0;
    }

    /// <summary>Leaves a directory by the way it was entered; false at the workspace itself.</summary>
    internal bool Back()
    {
        if (_entered.Count == 0) return false;
        FileCalls.Close(_entered[^1]);
        _entered.RemoveAt(_entered.Count - 1);
        return true;
    }

    /// <summary>Goes to the workspace itself.</summary>
    internal void Restart()
    {
        while (Back()) { }
    }

    public void Dispose() => Restart();

    private int OpenOrMake(byte[] component, bool isLast, WalkEnd end)
    {
        int fd = FileCalls.Open(Current, component, FileCalls.O_PATH | FileCalls.O_NOFOLLOW);
        if (fd != -FileCalls.ENOENT || makeDirectories is not { } mode || (isLast && end != WalkEnd.Directory)) return fd;
        int made = Workspace.MakeDirectory(Current, component, mode);
        // Somebody else's is as good, whatever it is: the next open says.
        return made < 0 && made != -FileCalls.EEXIST
            ? made
            : FileCalls.Open(Current, component, FileCalls.O_PATH | FileCalls.O_NOFOLLOW);
    }

    private int Follow(int link)
    {
        Span<byte> target = stackalloc byte[FileCalls.MaxPath];
        int length = FileCalls.ReadLink(link, default, target);
        if (length < 0) return length;
        if (length == 0) return -FileCalls.ENOENT;
        var path = target[..length];
        if (path[0] == '/')
        {
            if (!workspace.TryMakeRelative(path, out var inside)) return -FileCalls.EXDEV;
            Restart();
            path = inside;
        }
        Push(path);
        return 0;
    }

    private void Push(Span<byte> path) => Push((ReadOnlySpan<byte>)path);

    private void Push(ReadOnlySpan<byte> path)
    {
        while (!path.IsEmpty)
        {
            int slash = path.LastIndexOf((byte)'/');
            var component = path[(slash + 1)..];
            if (!component.IsEmpty && !component.SequenceEqual("."u8)) _pending.Push(component.ToArray());
            path = slash < 0 ? default : path[..slash];
        }
    }
}
