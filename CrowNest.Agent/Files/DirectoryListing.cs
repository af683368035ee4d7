using System.Text;
using System.Text.Unicode;

namespace CrowNest.Agent.Files;

/// <summary>
/// <c>GET /files</c> (docs/protocols.md 2.4). Never holds more than twice as many names as are asked for, whatever the directory does.
/// </summary>
internal sealed class DirectoryListing(Workspace workspace, int maxEntries)
{
    internal const int MaxDepth = 64;
    private const int BufferSize = 32 * 1024;

    private readonly List<FileEntry> _entries = [];
    private bool _truncated;

    internal static FileList List(Workspace workspace, FilePath path, int depth, int maxEntries)
    {
        var listing = new DirectoryListing(workspace, maxEntries);
        using var directory = workspace.OpenDirectory(path);
        listing.Add(directory, path.Absolute + "/", path.Relative.ToArray(), depth);
        listing._entries.Sort((a, b) => string.CompareOrdinal(a.Path, b.Path));
        return new FileList(listing._entries, listing._truncated);
    }

    /// <summary>A name as it is shown, and as it is when those are not the same.</summary>
    private readonly record struct Name(string Text, byte[]? Bytes)
    {
        internal static Name Of(ReadOnlySpan<byte> bytes) =>
            new(Encoding.UTF8.GetString(bytes), Utf8.IsValid(bytes) ? null : bytes.ToArray());

        internal ReadOnlySpan<byte> Encode(Span<byte> buffer) => Bytes ?? buffer[..Encoding.UTF8.GetBytes(Text, buffer)];
    }

    private void Add(Descriptor directory, string prefix, byte[] relative, int depth)
    {
        Span<byte> buffer = stackalloc byte[FileCalls.MaxName + 1];
        foreach (var name in ReadNames(directory, prefix))
        {
            var bytes = name.Encode(buffer);
            // It may have gone since it was read.
            if (FileCalls.Stat(directory.Fd, bytes, out var self) < 0) continue;
            if (_entries.Count == maxEntries)
            {
                _truncated = true;
                return;
            }
            var node = self.Kind == NodeKind.Link ? FileChanges.Look(workspace, Join(relative, bytes), self) : self;
            _entries.Add(new FileEntry(name.Text, prefix + name.Text, FileStat.TypeOf(node), FileStat.SizeOf(node), node.ModifiedAt));
            if (self.Kind != NodeKind.Directory || depth <= 1) continue;
            int fd = FileCalls.Open(directory.Fd, bytes, FileCalls.O_RDONLY | FileCalls.O_DIRECTORY | FileCalls.O_NOFOLLOW);
            if (fd < 0)
            {
                // Gone or replaced meanwhile: nothing to descend into. One that the user may not read fails the listing.
                if (fd is -FileCalls.ENOENT or -FileCalls.ENOTDIR or -FileCalls.ELOOP) continue;
                throw FileErrors.Of(fd, prefix + name.Text);
            }
            using var inner = new Descriptor(fd);
            Add(inner, $"{prefix}{name.Text}/", Join(relative, bytes), depth - 1);
        }
    }

    /// <summary>In order; when there are more than are wanted, the first of them and at least one more.</summary>
    private List<Name> ReadNames(Descriptor directory, string prefix)
    {
        int wanted = maxEntries - _entries.Count + 1;
        var names = new List<Name>();
        // Reading moves the position that all users of a descriptor share; this one is ours alone.
        var reader = new DirectoryReader(directory, BufferSize);
        int result;
        while ((result = reader.Next(out var name)) > 0)
        {
            names.Add(Name.Of(name));
            if (names.Count >= 2L * wanted + 256) Keep(names, wanted);
        }
        // A directory that was removed while it was read has no entries.
        if (result < 0 && result != -FileCalls.ENOENT) throw FileErrors.Of(result, prefix);
        Keep(names, wanted);
        return names;
    }

    private static void Keep(List<Name> names, int wanted)
    {
        names.Sort((a, b) => string.CompareOrdinal(a.Text, b.Text));
        if (names.Count > wanted) names.RemoveRange(wanted, names.Count - wanted);
    }

    private static byte[] Join(byte[] relative, ReadOnlySpan<byte> name)
    {
        if (relative.Length == 0) return name.ToArray();
        byte[] joined = new byte[relative.Length + 1 + name.Length];
        relative.CopyTo(joined, 0);
        joined[relative.Length] = (byte)'/';
        name.CopyTo(joined.AsSpan(relative.Length + 1));
        return joined;
    }
}
