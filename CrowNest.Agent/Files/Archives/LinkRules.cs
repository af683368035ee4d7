namespace CrowNest.Agent.Files.Archives;

/// <summary>
/// Where a symbolic link of an archive may point: inside the workspace, now and whatever later entries make. So <c>..</c> may only
/// leave a directory that exists and is one: an archive never turns a directory into anything else, while a name that is missing, or
/// a link, could later lead to where the same <c>..</c> means another place. Behind the last <c>..</c> the target only goes deeper, or
/// through links that were judged themselves.
/// </summary>
internal sealed class LinkRules(Workspace workspace)
{
    /// <param name="directory">Where the link is made: from the workspace on; it exists.</param>
    /// <param name="target">The link's content.</param>
    internal bool StayInside(byte[] directory, byte[] target)
    {
        if (target.Length == 0) return false;
        using var walk = new PathWalk(workspace);
        var path = target.AsSpan();
        if (path[0] == '/')
        {
            if (!workspace.TryMakeRelative(path, out path)) return false;
        }
        else if (walk.Walk(directory, WalkEnd.Directory) < 0)
        {
            return false;
        }

        while (LastParent(path) is var end and > 0)
        {
            int slash = path.IndexOf((byte)'/');
            var component = slash < 0 ? path : path[..slash];
            if (component.SequenceEqual(".."u8))
            {
                if (!walk.Back()) return false;
            }
            else if (!component.IsEmpty && !component.SequenceEqual("."u8))
            {
                int result = FileCalls.Stat(walk.Current, component, out var node);
                if (result < 0 || node.Kind != NodeKind.Directory || walk.Walk(component, WalkEnd.Directory) < 0) return false;
            }
            path = slash < 0 ? default : path[(slash + 1)..];
        }

        int fd = walk.Walk(path, WalkEnd.Node);
        if (fd >= 0) FileCalls.Close(fd);
        // Missing, or a name behind a file: a link to nowhere, but to nowhere inside.
        return fd >= 0 || fd is -FileCalls.ENOENT or -FileCalls.ENOTDIR;
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
