using System.Text;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files;

/// <summary>
/// A file that is being written where nobody sees it, and then takes its place at once. Disposed before that, nothing is left of it.
/// Its methods run on <see cref="FileThreads"/>.
/// </summary>
internal sealed class PendingFile : IDisposable
{
    private readonly Workspace _workspace;
    private readonly FilePath _path;
    private readonly bool _overwrite;
    private readonly (uint Uid, uint Gid) _user;
    private readonly Sha256 _hash = new();
    private Place? _place;
    private Place? _named;
    private Descriptor? _file;

    private PendingFile(Workspace workspace, FilePath path, bool overwrite, (uint Uid, uint Gid) user)
    {
        _workspace = workspace;
        _path = path;
        _overwrite = overwrite;
        _user = user;
    }

    /// <summary>Checks all that can be known before the content is.</summary>
    /// <exception cref="AgentException">
    /// path_is_directory, path_not_directory, path_outside_workspace, parent_directory_not_found, file_already_exists, forbidden,
    /// quota_exceeded; invalid_request when the path is a FIFO, a socket or a device
    /// </exception>
    internal static PendingFile Open(Workspace workspace, FilePath path, bool overwrite, bool createParents, (uint Uid, uint Gid) user)
    {
        if (path.IsRoot) throw new AgentException(AgentError.PathIsDirectory(path.Absolute));
        var file = new PendingFile(workspace, path, overwrite, user);
        try
        {
            file._place = file.FindPlace(makeParents: false);
            if (file._place is { } place) _ = file.CheckTarget(place);
            else if (!createParents) throw FileErrors.OfParent(-FileCalls.ENOENT, path.Absolute);
            // Missing directories are made when the content is complete: an upload that breaks off leaves none.
            file.CreateFile(file._place?.Directory.Fd ?? workspace.Root);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <exception cref="AgentException">quota_exceeded, file_too_large</exception>
    internal void Append(ReadOnlySpan<byte> bytes)
    {
        _workspace.Memory.Take(bytes.Length);
        int result = FileCalls.Write(_file!.Fd, bytes);
        if (result < 0) throw FileErrors.Of(result, _path.Absolute);
        _hash.Append(bytes);
    }

    /// <summary>Ends the content and puts the file into its place.</summary>
    /// <exception cref="AgentException">
    /// upload_checksum_mismatch, and what <see cref="Open"/> throws when the place has changed since
    /// </exception>
    internal FileStat Publish(string? expectedSha256)
    {
        var sha256 = _hash.Finish();
        if (expectedSha256 is not null && !string.Equals(sha256, expectedSha256, StringComparison.OrdinalIgnoreCase))
            throw new AgentException(AgentError.UploadChecksumMismatch($"the content's SHA-256 is {sha256}"));
        _place ??= FindPlace(makeParents: true) ?? throw FileErrors.OfParent(-FileCalls.ENOENT, _path.Absolute);
        var existing = CheckTarget(_place);
        Check(FileCalls.ChangeMode(_file!.Fd, existing?.Permissions ?? Workspace.NewFileMode));
        Check(FileCalls.Stat(_file.Fd, out var node));
        int result = existing is null || !_overwrite ? PutFirst(_place) : -FileCalls.EEXIST;
        if (result == -FileCalls.EEXIST && _overwrite) result = Replace(_place);
        // The parent was removed while the content came.
        if (result == -FileCalls.ENOENT) throw FileErrors.OfParent(result, _path.Absolute);
        Check(result);
        return FileStat.Of(_path.Absolute, node) with { Sha256 = sha256 };
    }

    public void Dispose()
    {
        _file?.Dispose();
        if (_named is { } named) _ = FileCalls.Unlink(named.Directory.Fd, named.Name);
        _named?.Dispose();
        _place?.Dispose();
    }

    private Place? FindPlace(bool makeParents)
    {
        // Not to overwrite means: nothing of this name, be it a link that leads nowhere (O_EXCL says the same).
        if (_overwrite) return _workspace.TryFindPlace(_path, makeParents);
        if (makeParents) using (_workspace.TryFindPlace(_path, makeParents)) { }
        int fd = _workspace.TryOpen(_path.Parent, FileCalls.O_DIRECTORY);
        if (fd >= 0) return new Place(new Descriptor(fd), _path.Name.ToArray());
        return fd == -FileCalls.ENOENT ? null : throw FileErrors.OfParent(fd, _path.Absolute);
    }

    private FileNode? CheckTarget(Place place)
    {
        int result = FileCalls.Stat(place.Directory.Fd, place.Name, out var node);
        if (result == -FileCalls.ENOENT) return null;
        Check(result);
        if (node.Kind == NodeKind.Directory) throw new AgentException(AgentError.PathIsDirectory(_path.Absolute));
        if (!_overwrite) throw FileErrors.Of(-FileCalls.EEXIST, _path.Absolute);
        if (node.Kind == NodeKind.Special) throw FileErrors.Special(_path.Absolute);
        // A link here was put in place after we had followed the last one. It is replaced, as any name is.
        if (node.Kind == NodeKind.Link) return null;
        if (!node.MayBeWrittenBy(_user.Uid, _user.Gid)) throw FileErrors.Of(-FileCalls.EACCES, _path.Absolute);
        return node;
    }

    private void CreateFile(int directory)
    {
        int fd = FileCalls.Open(directory, default, FileCalls.O_TMPFILE | FileCalls.O_WRONLY, 0x180);
        if (fd is -FileCalls.EOPNOTSUPP or -FileCalls.EISDIR or -FileCalls.EINVAL)
        {
            // gVisor, and file systems without unnamed files.
            byte[] name = HiddenName();
            int held = FileCalls.Open(directory, default, FileCalls.O_PATH);
            Check(held);
            var place = new Place(new Descriptor(held), name);
            fd = FileCalls.Open(held, name, FileCalls.O_CREAT | FileCalls.O_EXCL | FileCalls.O_NOFOLLOW | FileCalls.O_WRONLY, 0x180);
            if (fd >= 0) _named = place;
            else place.Dispose();
        }
        if (fd == -FileCalls.ENOENT) throw FileErrors.OfParent(fd, _path.Absolute);
        Check(fd);
        _file = new Descriptor(fd);
    }

    private int PutFirst(Place place)
    {
        if (_named is null) return FileCalls.LinkUnnamed(_file!.Fd, place.Directory.Fd, place.Name);
        int result = FileCalls.Rename(_named.Directory.Fd, _named.Name, place.Directory.Fd, place.Name, FileCalls.RENAME_NOREPLACE);
        if (result >= 0) Forget();
        return result;
    }

    private int Replace(Place place)
    {
        if (_named is null)
        {
            // A link cannot replace a name, a rename can.
            byte[] name = HiddenName();
            int linked = FileCalls.LinkUnnamed(_file!.Fd, place.Directory.Fd, name);
            if (linked < 0) return linked;
            int fd = FileCalls.Open(place.Directory.Fd, default, FileCalls.O_PATH);
            if (fd < 0)
            {
                _ = FileCalls.Unlink(place.Directory.Fd, name);
                return fd;
            }
            _named = new Place(new Descriptor(fd), name);
        }
        int result = FileCalls.Rename(_named.Directory.Fd, _named.Name, place.Directory.Fd, place.Name, 0);
        if (result >= 0) Forget();
        return result;
    }

    private void Forget()
    {
        _named?.Dispose();
        _named = null;
    }

    private static byte[] HiddenName() => Encoding.ASCII.GetBytes($".crownest-{Guid.NewGuid():n}");

    private void Check(int result)
    {
        if (result < 0) throw FileErrors.Of(result, _path.Absolute);
    }
}
