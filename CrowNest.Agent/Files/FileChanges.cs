using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files;

/// <summary>Looking at one path, and changes that are one call of the kernel (protocols.md 2.4). On <see cref="FileThreads"/>.</summary>
internal static class FileChanges
{
    internal static FileStat Stat(Workspace workspace, FilePath path)
    {
        using var found = workspace.Open(path, out var node);
        return FileStat.Of(path.Absolute, node);
    }

    internal static void Delete(Workspace workspace, FilePath path)
    {
        using var place = workspace.OpenPlace(path, FileErrors.Of);
        int result = FileCalls.Unlink(place.Directory.Fd, place.Name);
        if (result == -FileCalls.EISDIR) result = FileCalls.Unlink(place.Directory.Fd, place.Name, isDirectory: true);
        // rmdir may say either of a directory that has entries.
        if (result == -FileCalls.EEXIST) result = -FileCalls.ENOTEMPTY;
        if (result < 0) throw FileErrors.Of(result, path.Absolute);
    }

    internal static FileStat MakeDirectory(Workspace workspace, FilePath path, bool parents)
    {
        if (parents)
        {
            using var walk = new PathWalk(workspace, Workspace.NewDirectoryMode);
            int walked = walk.Walk(path.Relative, WalkEnd.Directory);
            if (walked == -FileCalls.ENOTDIR && Exists(workspace, path)) throw FileErrors.Of(-FileCalls.EEXIST, path.Absolute);
            if (walked < 0) throw FileErrors.OfParent(walked, path.Absolute);
            return Stat(workspace, path);
        }

        if (path.IsRoot) throw FileErrors.Of(-FileCalls.EEXIST, path.Absolute);
        using var place = workspace.OpenPlace(path, FileErrors.OfParent);
        int result = Workspace.MakeDirectory(place.Directory.Fd, place.Name, Workspace.NewDirectoryMode);
        if (result == -FileCalls.ENOENT) throw FileErrors.OfParent(result, path.Absolute);
        if (result < 0) throw FileErrors.Of(result, path.Absolute);
        return Describe(workspace, place, path);
    }

    internal static FileStat Move(Workspace workspace, FilePath from, FilePath to, bool overwrite)
    {
        using var source = workspace.OpenPlace(from, FileErrors.Of);
        using var target = workspace.OpenPlace(to, FileErrors.OfParent);
        int result = FileCalls.Rename(
            source.Directory.Fd, source.Name, target.Directory.Fd, target.Name, overwrite ? 0 : FileCalls.RENAME_NOREPLACE);
        switch (-result)
        {
            case <= 0:
                return Describe(workspace, target, to);
            case FileCalls.ENOENT:
                throw FileErrors.Of(result, from.Absolute);
            case FileCalls.ENOTDIR:
                throw new AgentException(AgentError.PathNotDirectory(to.Absolute));
            case FileCalls.EINVAL:
                throw new AgentException(AgentError.InvalidRequest($"{from.Absolute} cannot be moved into itself"));
            case FileCalls.EEXIST when overwrite:
                throw FileErrors.Of(-FileCalls.ENOTEMPTY, to.Absolute);
            default:
                throw FileErrors.Of(result, to.Absolute);
        }
    }

    /// <summary>What a name in a held directory is: a link counts as its target when that lies inside (docs/reference/api.md 6).</summary>
    internal static FileNode Look(Workspace workspace, ReadOnlySpan<byte> relative, in FileNode self)
    {
        if (self.Kind != NodeKind.Link) return self;
        int fd = workspace.TryOpen(relative);
        if (fd < 0) return self;
        int result = FileCalls.Stat(fd, out var target);
        FileCalls.Close(fd);
        return result < 0 ? self : target;
    }

    private static FileStat Describe(Workspace workspace, Place place, FilePath path)
    {
        int result = FileCalls.Stat(place.Directory.Fd, place.Name, out var node);
        if (result < 0) throw FileErrors.Of(result, path.Absolute);
        return FileStat.Of(path.Absolute, Look(workspace, path.Relative, node));
    }

    private static bool Exists(Workspace workspace, FilePath path)
    {
        int fd = workspace.TryOpen(path.Relative);
        if (fd >= 0) FileCalls.Close(fd);
        return fd >= 0;
    }
}
