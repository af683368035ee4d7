using System.Buffers;
using System.Text;

namespace CrowNest.Agent.Files;

/// <summary>One row of an <see cref="EntryTable"/>. The path lies in the table; the name is its end from <see cref="NameStart"/> on.</summary>
internal readonly record struct Entry(int Start, int Length, int NameStart, bool IsDirectory, long Size, long ModifiedAt);

/// <summary>Paths and what was found there, in two rented arrays instead of in objects: ten thousand entries leave no garbage.</summary>
internal sealed class EntryTable : IDisposable
{
    private const int FirstBytes = 16 * 1024, FirstRows = 256;

    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(FirstBytes);
    private Entry[] _rows = ArrayPool<Entry>.Shared.Rent(FirstRows);
    private int _used;

    internal int Count { get; private set; }

    internal Entry this[int index] => _rows[index];

    internal static string Show(ReadOnlySpan<byte> path) => Encoding.UTF8.GetString(path);

    internal ReadOnlySpan<byte> PathOf(in Entry entry) => _bytes.AsSpan(entry.Start, entry.Length);

    internal void Add(ReadOnlySpan<byte> path, int nameStart, in FileNode node)
    {
        if (_used + path.Length > _bytes.Length) Grow(ref _bytes, _used);
        if (Count == _rows.Length) Grow(ref _rows, Count);
        path.CopyTo(_bytes.AsSpan(_used));
        _rows[Count++] = new Entry(
            _used, path.Length, nameStart, node.Kind == NodeKind.Directory, FileStat.SizeOf(node), node.ModifiedAt);
        _used += path.Length;
    }

    internal void Sort() => _rows.AsSpan(0, Count).Sort(Compare);

    /// <summary>Sorts, and forgets all but the first so many.</summary>
    internal void Keep(int count)
    {
        Sort();
        if (Count <= count) return;
        // The bytes of the others go too, or the table would grow with the directory.
        var kept = new EntryTable();
        for (int i = 0; i < count; i++) kept.Add(PathOf(_rows[i]), _rows[i].NameStart, default);
        (_bytes, kept._bytes) = (kept._bytes, _bytes);
        (_rows, kept._rows) = (kept._rows, _rows);
        (_used, Count) = (kept._used, count);
        kept.Dispose();
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_bytes);
        ArrayPool<Entry>.Shared.Return(_rows);
        _bytes = [];
        _rows = [];
    }

    private int Compare(Entry a, Entry b) => Utf8Order.Compare(PathOf(a), PathOf(b));

    private static void Grow<T>(ref T[] array, int used)
    {
        var larger = ArrayPool<T>.Shared.Rent(2 * array.Length);
        array.AsSpan(0, used).CopyTo(larger);
        ArrayPool<T>.Shared.Return(array);
        array = larger;
    }
}
