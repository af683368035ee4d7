namespace CrowNest.Agent.Files.Archives;

/// <summary>What can be said of a link when its entry comes.</summary>
internal enum LinkVerdict
{
    Inside,
    Outside,

    /// <summary>What later entries make decides where it leads.</summary>
    Later,
}

/// <summary>
/// Where a symbolic link of an archive may point: inside the workspace, also after whatever later entries make. So at first <c>..</c>
/// may only leave a directory that exists and is one: an archive never turns a directory into anything else, while a name that is
/// missing, or a link, could later lead to where the same <c>..</c> means another place. Behind the last <c>..</c> the target only
/// goes deeper, or through links that are judged themselves. Other links wait until nothing comes any more.
/// </summary>
internal sealed class LinkRules(Workspace workspace)
{
    /// <param name="directory">Where the link is made: from the workspace on; it exists.</param>
    /// <param name="target">The link's content.</param>
    internal LinkVerdict Judge(ReadOnlySpan<byte> directory, byte[] target)
    {
        using var walk = new PathWalk(workspace);
        if (!TryBegin(walk, directory, target, out var path)) return LinkVerdict.Outside;
        while (LastParent(path) > 0)
        {
            int slash = path.IndexOf((byte)'/');
            var component = slash < 0 ? path : path[..slash];
            if (component.SequenceEqual(".."u8))
            {
                if (!walk.Back()) return LinkVerdict.Outside;
            }
            else if (!component.IsEmpty && !component.SequenceEqual("."u8))
            {
                int result = FileCalls.Stat(walk.Current, component, out var node);
                if (result < 0 || node.Kind != NodeKind.Directory) return LinkVerdict.Later;
                if (walk.Walk(component, WalkEnd.Directory) < 0) return LinkVerdict.Later;
            }
            path = slash < 0 ? default : path[(slash + 1)..];
        }

        int fd = walk.Walk(path, WalkEnd.Node);
        if (fd >= 0) FileCalls.Close(fd);
        // Missing, or a name behind a file: a link to nowhere, but to nowhere inside.
        return fd >= 0 || fd is -FileCalls.ENOENT or -FileCalls.ENOTDIR ? LinkVerdict.Inside : LinkVerdict.Outside;
    }

    /// <summary>Where a link leads now that nothing comes any more: to something inside, or to a missing name inside.</summary>
    internal bool LeadsInside(ReadOnlySpan<byte> directory, byte[] target)
    {
        if (Judge(directory, target) == LinkVerdict.Inside) return true;
        using var walk = new PathWalk(workspace);
        return TryBegin(walk, directory, target, out var path) && walk.Walk(path, WalkEnd.Name) >= 0;
    }

    private bool TryBegin(PathWalk walk, ReadOnlySpan<byte> directory, byte[] target, out Span<byte> path)
    {
        path = target;
        if (path.IsEmpty) return false;
        return path[0] == '/' ? workspace.TryMakeRelative(path, out path) : walk.Walk(directory, WalkEnd.Directory) >= 0;
    }

    /// <summary>Length of the path up to its last <c>..</c>; 0 when there is none.</summary>
    private static int LastParent(ReadOnlySpan<byte> path)
    {
        for (int end = path.Length; end >= 2;)
        {
            int start = path[..end].LastIndexOf((byte)'/') + 1;
            if (path[start..end].SequenceEqual(".."u8)) return end;
            end = start - 1;
        }
        return 0;
    }
}
