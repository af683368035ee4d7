using System.Text;

namespace CrowNest.Agent.Files;

/// <summary>A row of an <see cref="EntryTable"/>: the path lies in the table, the name is its end from <see cref="NameStart"/> on.</summary>
/// <param name="Exists">False: nothing of this name was found when it was looked at, or nobody has looked yet.</param>
internal readonly record struct Entry(int Start, int Length, int NameStart, bool Exists, bool IsDirectory, long Size, long ModifiedAt);

/// <summary>
/// Paths and what was found there, in two arrays instead of in objects: ten thousand entries cost the collector nothing. Not rented
/// ones: a pool would keep them.
/// </summary>
internal sealed class EntryTable
{
    private byte[] _bytes = new byte[8 * 1024];
    private Entry[] _rows = new Entry[128];
    private int _used;

    internal int Count { get; private set; }

    internal Entry this[int index] => _rows[index];

    internal static string Show(ReadOnlySpan<byte> path) => Encoding.UTF8.GetString(path);

    internal ReadOnlySpan<byte> PathOf(in Entry entry) => _bytes.AsSpan(entry.Start, entry.Length);

    /// <summary>Adds a row that nobody has looked at yet.</summary>
    internal void Add(ReadOnlySpan<byte> path, int nameStart)
    {
        if (_used + path.Length > _bytes.Length) Array.Resize(ref _bytes, 2 * _bytes.Length + path.Length);
        if (Count == _rows.Length) Array.Resize(ref _rows, 2 * _rows.Length);
        path.CopyTo(_bytes.AsSpan(_used));
        _rows[Count++] = new Entry(_used, path.Length, nameStart, Exists: false, IsDirectory: false, Size: 0, ModifiedAt: 0);
        _used += path.Length;
    }

    /// <summary>Writes down what was found.</summary>
    internal void Set(int index, in FileNode node)
    {
        ref var row = ref _rows[index];
        row = row with
        {
            Exists = true,
            IsDirectory = node.Kind == NodeKind.Directory,
            Size = FileStat.SizeOf(node),
            ModifiedAt = node.ModifiedAt,
        };
    }

    internal void Sort() => _rows.AsSpan(0, Count).Sort(Compare);

    /// <summary>Sorts, and forgets all but the first so many.</summary>
    internal void Keep(int count)
    {
        Sort();
        if (Count <= count) return;
        // The bytes of the others go too, or the table would grow with the directory.
        var kept = new EntryTable();
        for (int i = 0; i < count; i++) kept.Add(PathOf(_rows[i]), _rows[i].NameStart);
        (_bytes, _rows, _used, Count) = (kept._bytes, kept._rows, kept._used, count);
    }

    private int Compare(Entry a, Entry b) => Utf8Order.Compare(PathOf(a), PathOf(b));
}
