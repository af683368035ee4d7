using System.Collections.Concurrent;
using System.Text;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Tests;

/// <summary>A sandbox's workspace: paths with their bytes, null for a folder.</summary>
internal sealed class FakeFiles
{
    private readonly ConcurrentDictionary<string, (byte[]? Content, DateTimeOffset At)> _entries = new(StringComparer.Ordinal)
    {
        [Limits.Workspace] = (null, DateTimeOffset.UtcNow),
    };

    public IEnumerable<string> Paths => _entries.Keys;

    /// <summary>What a listing says about itself.</summary>
    public bool IsTruncated { get; set; }

    public FakeFiles Add(string path, string content) => Add(path, Encoding.UTF8.GetBytes(content));

    public FakeFiles Add(string path, byte[]? content = null)
    {
        _entries[path] = (content, DateTimeOffset.UtcNow);
        return this;
    }

    public bool Has(string path) => _entries.ContainsKey(path);

    public bool IsFolder(string path) => _entries.TryGetValue(path, out var entry) && entry.Content is null;

    public byte[]? Content(string path) => _entries.GetValueOrDefault(path).Content;

    public bool Remove(string path) => _entries.TryRemove(path, out _);

    public FileStat Stat(string path)
    {
        var (content, at) = _entries[path];
        return new FileStat(path, content is null ? FileType.Directory : FileType.File, content?.Length ?? 0, at);
    }

    public IReadOnlyList<FileEntry> Children(string folder) =>
    [
        .. _entries.Keys.Where(path => path.LastIndexOf('/') == folder.Length && path.StartsWith(folder, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).Select(Stat)
            .Select(file => new FileEntry(file.Path[(folder.Length + 1)..], file.Path, file.Type, file.SizeBytes, file.ModifiedAt)),
    ];

    public void Move(string from, string to)
    {
        foreach (var path in _entries.Keys.Where(path => path == from || path.StartsWith(from + "/", StringComparison.Ordinal)).ToArray())
        {
            if (_entries.TryRemove(path, out var entry))
                _entries[to + path[from.Length..]] = entry;
        }
    }
}
