using CrowNest.Client;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Files;

/// <summary>A folder's entries in the order in which people look for them: folders first, then by name.</summary>
internal sealed record FileListing(string Path, IReadOnlyList<FileListing.Row> Rows, bool IsTruncated)
{
    /// <param name="Key">Unique: two names that are not UTF-8 may look the same.</param>
    internal sealed record Row(string Key, FileEntry Entry);

    public static async Task<FileListing> ReadAsync(FilesClient files, string sandboxId, string path, CancellationToken cancellationToken)
    {
        var list = await files.ListAsync(sandboxId, path, cancellationToken: cancellationToken);
        return new FileListing(path, Order(list.Data), list.Truncated == true);
    }

    internal static IReadOnlyList<Row> Order(IEnumerable<FileEntry> entries) =>
    [
        .. entries.GroupBy(entry => entry.Path, StringComparer.Ordinal)
            .SelectMany(same => same.Select((entry, index) => new Row($"{index}{entry.Path}", entry)))
            .OrderBy(row => row.Entry.Type == FileType.Directory ? 0 : 1)
            .ThenBy(row => row.Entry.Name, StringComparer.OrdinalIgnoreCase)
            .ThenBy(row => row.Key, StringComparer.Ordinal),
    ];
}
