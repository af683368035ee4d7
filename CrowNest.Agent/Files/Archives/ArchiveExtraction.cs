using System.Text;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files.Archives;

/// <summary>
/// Puts the entries of an archive beneath a directory, by the rules of docs/reference/api.md 10.6. Runs on <see cref="FileThreads"/>:
/// everything made is the user's, and nothing is resolved but beneath the workspace, so that processes in the sandbox may rename what they
/// like meanwhile. A name that comes twice is replaced, except that a directory is only ever a directory: links may be judged by where
/// they are made, and stay judged.
/// </summary>
internal sealed class ArchiveExtraction : ITarEntries, IDisposable
{
    private readonly Workspace _workspace;
    private readonly byte[] _base;
    private readonly LinkRules _links;
    private readonly WaitingLinks _waiting = new();
    private Descriptor? _parent;
    private byte[] _parentPath = [];
    private TarEntry? _entry;
    private byte[] _name = [];
    private Descriptor? _file;

    internal ArchiveExtraction(Workspace workspace, FilePath target)
    {
        _workspace = workspace;
        _base = target.Relative.ToArray();
        _links = new LinkRules(workspace);
        // Only to say at once what is wrong with it.
        using var directory = workspace.OpenDirectory(target);
    }

    public void Begin(TarEntry entry)
    {
        _entry = entry;
        // An inode, and the last page of a file.
        _workspace.Memory.Take(4096);
        var components = Components(entry.Name, entry);
        if (components.Count == 0)
        {
            if (entry.Kind != TarKind.Directory) throw Invalid(entry, "has no name");
            return;
        }
        _name = components[^1];
        components.RemoveAt(components.Count - 1);
        EnterParent(entry, Join(_base, components));
        _waiting.Forget(_parentPath, _name);
        switch (entry.Kind)
        {
            case TarKind.File:
                BeginFile(entry);
                break;
            case TarKind.Directory:
                MakeDirectory(entry);
                break;
            case TarKind.Link:
                BeginLink(entry);
                break;
            case TarKind.HardLink:
                MakeHardLink(entry);
                break;
            default:
                throw Invalid(entry, $"is of a kind that is not extracted ('{(char)entry.Kind}')");
        }
    }

    public void Content(ReadOnlySpan<byte> bytes)
    {
        _workspace.Memory.Take(bytes.Length);
        Check(FileCalls.Write(_file!.Fd, bytes), _entry!);
    }

    public void End()
    {
        if (_file is not { } file) return;
        var entry = _entry!;
        // Set-uid, set-gid and sticky bits are dropped.
        Check(FileCalls.ChangeMode(file.Fd, entry.Mode & 0x1FF), entry);
        // A time that the file system cannot hold is not worth the file.
        _ = FileCalls.SetModified(file.Fd, entry.ModifiedSeconds, entry.ModifiedNanoseconds);
        file.Dispose();
        _file = null;
    }

    /// <summary>The archive has ended: makes the links that waited for it.</summary>
    internal void Finish()
    {
        foreach (var link in _waiting.All)
        {
            EnterParent(link.Entry, link.Directory);
            _name = link.Name;
            if (!_links.LeadsInside(_parentPath, link.Entry.Link)) throw LeadsOut(link.Entry);
            MakeLink(link.Entry);
        }
        // One of them may have changed where another leads.
        foreach (var link in _waiting.All)
        {
            EnterParent(link.Entry, link.Directory);
            if (_links.LeadsInside(_parentPath, link.Entry.Link)) continue;
            _ = FileCalls.Unlink(_parent!.Fd, link.Name);
            throw LeadsOut(link.Entry);
        }
    }

    /// <summary>A file that was begun and not ended is removed; whole ones stay.</summary>
    public void Dispose()
    {
        if (_file is not null) _ = FileCalls.Unlink(_parent!.Fd, _name);
        _file?.Dispose();
        ForgetParent();
    }

    private void BeginFile(TarEntry entry)
    {
        const int Flags = FileCalls.O_CREAT | FileCalls.O_EXCL | FileCalls.O_WRONLY | FileCalls.O_NONBLOCK;
        // Never written through a link or into a file that another entry or name has as well: always a new one.
        int fd = Make(entry, () => FileCalls.Open(_parent!.Fd, _name, Flags | FileCalls.O_NOFOLLOW, 0x180));
        _file = new Descriptor(fd);
    }

    private void BeginLink(TarEntry entry)
    {
        switch (_links.Judge(_parentPath, entry.Link))
        {
            case LinkVerdict.Inside:
                MakeLink(entry);
                break;
            case LinkVerdict.Later when _waiting.TryAdd(new WaitingLink(_parentPath, _name, entry)):
                break;
            default:
                throw LeadsOut(entry);
        }
    }

    private void MakeLink(TarEntry entry)
    {
        Make(entry, () => FileCalls.MakeLink(entry.Link, _parent!.Fd, _name));
        // It may have replaced another link, which the parent was reached by.
        ForgetParent();
    }

    private void MakeDirectory(TarEntry entry)
    {
        // Without w and x its owner could not fill it.
        uint mode = (entry.Mode & 0x1FF) | 0x1C0;
        int result = Workspace.MakeDirectory(_parent!.Fd, _name, mode);
        if (result == -FileCalls.EEXIST)
        {
            int fd = _workspace.TryOpen(Join(_parentPath, _name), FileCalls.O_DIRECTORY);
            if (fd >= 0)
            {
                FileCalls.Close(fd);
                return;
            }
            result = Make(entry, () => Workspace.MakeDirectory(_parent.Fd, _name, mode));
        }
        Check(result, entry);
    }

    private void MakeHardLink(TarEntry entry)
    {
        var components = Components(entry.Link, entry);
        if (components.Count == 0) throw Invalid(entry, "is a hard link to no file");
        byte[] name = components[^1];
        components.RemoveAt(components.Count - 1);
        int directory = _workspace.TryOpen(Join(_base, components), FileCalls.O_DIRECTORY);
        if (directory < 0) throw Invalid(entry, "is a hard link to no file inside");
        using var target = new Descriptor(directory);
        if (FileCalls.Stat(directory, name, out var node) < 0 || node.Kind != NodeKind.File)
            throw Invalid(entry, "is a hard link to no file inside");
        // To itself: it is there already, and must not be removed to make room.
        if (FileCalls.Stat(_parent!.Fd, _name, out var present) >= 0 && present.Inode == node.Inode) return;
        Make(entry, () => FileCalls.Link(directory, name, _parent.Fd, _name));
    }

    /// <summary>Makes something under the entry's name; what has it already goes, unless it is a directory.</summary>
    private int Make(TarEntry entry, Func<int> make)
    {
        // More than once only if something in the sandbox takes the name again.
        for (int tries = 0; tries < 16; tries++)
        {
            int result = make();
            if (result != -FileCalls.EEXIST)
            {
                Check(result, entry);
                return result;
            }
            int removed = FileCalls.Unlink(_parent!.Fd, _name);
            if (removed is -FileCalls.EISDIR or -FileCalls.EPERM) throw Invalid(entry, "would replace a directory");
            if (removed < 0 && removed != -FileCalls.ENOENT) Check(removed, entry);
        }
        throw FileErrors.Of(-FileCalls.EBUSY, Show(entry));
    }

    /// <summary>Opens the directory of the next entry, through links that stay inside; makes it when no entry of its own did.</summary>
    private void EnterParent(TarEntry entry, byte[] path)
    {
        if (_parent is not null && path.AsSpan().SequenceEqual(_parentPath)) return;
        ForgetParent();
        int fd = _workspace.TryOpen(path, FileCalls.O_DIRECTORY);
        if (fd == -FileCalls.ENOENT)
        {
            using var walk = new PathWalk(_workspace, Workspace.NewDirectoryMode);
            fd = walk.Walk(path, WalkEnd.Directory);
            if (fd >= 0) fd = FileCalls.Open(walk.Current, default, FileCalls.O_PATH);
        }
        if (fd is -FileCalls.EXDEV or -FileCalls.ELOOP or -FileCalls.ENOTDIR or -FileCalls.ENAMETOOLONG)
            throw Invalid(entry, fd == -FileCalls.ENOTDIR ? "lies in what is no directory" : "leads outside");
        Check(fd, entry);
        _parent = new Descriptor(fd);
        _parentPath = path;
    }

    private void ForgetParent()
    {
        _parent?.Dispose();
        _parent = null;
    }

    private static List<byte[]> Components(byte[] name, TarEntry entry)
    {
        if (name is [(byte)'/', ..]) throw Invalid(entry, "is absolute");
        var components = new List<byte[]>();
        var rest = name.AsSpan();
        foreach (var range in rest.Split((byte)'/'))
        {
            var component = name.AsSpan(range);
            if (component.IsEmpty || component.SequenceEqual("."u8)) continue;
            if (component.SequenceEqual(".."u8)) throw Invalid(entry, "contains ..");
            if (component.Length > FileCalls.MaxName) throw Invalid(entry, "has too long a name");
            components.Add(component.ToArray());
        }
        return components;
    }

    private static byte[] Join(byte[] directory, List<byte[]> components)
    {
        int length = directory.Length;
        foreach (var component in components) length += component.Length + (length > 0 ? 1 : 0);
        byte[] path = new byte[length];
        directory.CopyTo(path, 0);
        int at = directory.Length;
        foreach (var component in components)
        {
            if (at > 0) path[at++] = (byte)'/';
            component.CopyTo(path, at);
            at += component.Length;
        }
        return path;
    }

    private static byte[] Join(byte[] directory, byte[] name) => Join(directory, [name]);

    private static void Check(int result, TarEntry entry)
    {
        if (result < 0) throw FileErrors.Of(result, Show(entry));
    }

    private static AgentException LeadsOut(TarEntry entry) => Invalid(entry, "is a link to outside");

    private static AgentException Invalid(TarEntry entry, string why) => TarReader.Invalid($"{Show(entry)} {why}");

    private static string Show(TarEntry entry) => Encoding.UTF8.GetString(entry.Name.AsSpan(0, Math.Min(entry.Name.Length, 200)));
}
