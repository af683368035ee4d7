namespace CrowNest.Agent.Files;

/// <summary>
/// <c>GET /files</c> (docs/protocols.md 2.4). Its methods run on <see cref="FileThreads"/>. Never holds more than twice as many names as
/// are asked for, whatever the directory does, and no object per entry.
/// </summary>
internal sealed class DirectoryListing : IDisposable
{
    internal const int MaxDepth = 100;
    private const int BufferSize = 32 * 1024;

    private readonly Workspace _workspace;
    private readonly byte[] _base;
    private readonly int _maxEntries;
    private EntryTable _entries = new();

    /// <summary>Where entries are still to be looked at.</summary>
    private Descriptor? _unseen;

    private DirectoryListing(Workspace workspace, FilePath path, int maxEntries)
    {
        _workspace = workspace;
        _base = path.Relative.ToArray();
        _maxEntries = maxEntries;
    }

    internal bool Truncated { get; private set; }

    internal int Count => _entries.Count;

    /// <summary>Paths from the listed directory on, in order. Only after <see cref="Look"/>.</summary>
    internal Entry this[int index] => _entries[index];

    internal static DirectoryListing Read(Workspace workspace, FilePath path, int depth, int maxEntries)
    {
        var listing = new DirectoryListing(workspace, path, maxEntries);
        var directory = workspace.OpenDirectory(path);
        try
        {
            if (depth > 1) listing.ReadTree(directory, depth);
            else listing.ReadOnce(directory);
            return listing;
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Looks at some of the entries. In one directory that is most of the work, so that it is done while others are sent; in a tree the
    /// order of paths is not that of directories, and all was looked at on the way.
    /// </summary>
    internal void Look(int from, int to)
    {
        if (_unseen is not { } directory) return;
        for (int i = from; i < to; i++)
        {
            var name = _entries.PathOf(_entries[i]);
            // It may have gone since it was read.
            if (FileCalls.Stat(directory.Fd, name, out var self) >= 0) _entries.Set(i, Follow(name, self));
        }
    }

    internal ReadOnlySpan<byte> PathOf(in Entry entry) => _entries.PathOf(entry);

    public void Dispose() => _unseen?.Dispose();

    private void ReadOnce(Descriptor directory)
    {
        _entries = ReadNames(directory, []);
        Truncated = _entries.Count > _maxEntries;
        if (Truncated) _entries.Keep(_maxEntries);
        _unseen = directory;
    }

    private void ReadTree(Descriptor directory, int depth)
    {
        using (directory) Add(directory, [], depth);
        _entries.Sort();
    }

    private void Add(Descriptor directory, byte[] prefix, int depth)
    {
        var names = ReadNames(directory, prefix);
        byte[] path = new byte[prefix.Length + FileCalls.MaxName + 1];
        prefix.CopyTo(path, 0);
        for (int i = 0; i < names.Count; i++)
        {
            var name = names.PathOf(names[i]);
            if (FileCalls.Stat(directory.Fd, name, out var self) < 0) continue;
            if (_entries.Count == _maxEntries)
            {
                Truncated = true;
                return;
            }
            name.CopyTo(path.AsSpan(prefix.Length));
            var whole = path.AsSpan(0, prefix.Length + name.Length);
            _entries.Add(whole, prefix.Length);
            _entries.Set(_entries.Count - 1, Follow(whole, self));
            if (self.Kind == NodeKind.Directory && depth > 1) Descend(directory, name, [.. whole, (byte)'/'], depth - 1);
        }
    }

    private void Descend(Descriptor directory, ReadOnlySpan<byte> name, byte[] prefix, int depth)
    {
        int fd = FileCalls.Open(directory.Fd, name, FileCalls.O_RDONLY | FileCalls.O_DIRECTORY | FileCalls.O_NOFOLLOW);
        // Gone or replaced meanwhile: nothing to descend into. One that the user may not read fails the listing.
        if (fd is -FileCalls.ENOENT or -FileCalls.ENOTDIR or -FileCalls.ELOOP) return;
        if (fd < 0) throw FileErrors.Of(fd, EntryTable.Show(prefix));
        using var inner = new Descriptor(fd);
        Add(inner, prefix, depth);
    }

    private FileNode Follow(ReadOnlySpan<byte> path, in FileNode self)
    {
        if (self.Kind != NodeKind.Link) return self;
        byte[] relative = _base.Length == 0 ? path.ToArray() : [.. _base, (byte)'/', .. path];
        return FileChanges.Look(_workspace, relative, self);
    }

    /// <summary>In order; when there are more than are wanted, the first of them and at least one more.</summary>
    private EntryTable ReadNames(Descriptor directory, byte[] prefix)
    {
        int wanted = _maxEntries - _entries.Count + 1;
        var names = new EntryTable();
        // Reading moves the position that all users of a descriptor share; this one is ours alone.
        var reader = new DirectoryReader(directory, BufferSize);
        int result;
        while ((result = reader.Next(out var name)) > 0)
        {
            names.Add(name, 0);
            if (names.Count >= 2L * wanted + 1024) names.Keep(wanted);
        }
        // A directory that was removed while it was read has no entries.
        if (result < 0 && result != -FileCalls.ENOENT) throw FileErrors.Of(result, EntryTable.Show(prefix));
        names.Keep(wanted);
        return names;
    }
}
