namespace CrowNest.Platform.Storage;

/// <summary>
/// The keys below a folder in ordinal order, of which only a bounded number is in memory at once, however many one folder holds.
/// </summary>
internal sealed class FolderListing(string root, string prefix, string after, CancellationToken cancellationToken)
{
    private const int BatchSize = 2000;

    private static readonly EnumerationOptions Entries = new()
    {
        AttributesToSkip = FileAttributes.ReparsePoint,
        IgnoreInaccessible = false,
    };

    public ObjectPage Page(DateTimeOffset? olderThan, int limit)
    {
        var found = new List<ObjectEntry>();
        var seen = 0;
        var last = "";
        foreach (var key in Keys(prefix[..(prefix.LastIndexOf('/') + 1)]))
        {
            if (seen++ == limit)
            {
                return new ObjectPage(found, last);
            }

            last = key;
            var file = new FileInfo(Path.Combine(root, key));
            if (file.Exists && (olderThan is null || file.LastWriteTimeUtc < olderThan))
            {
                found.Add(new ObjectEntry(key, file.Length, file.LastWriteTimeUtc));
            }
        }

        return new ObjectPage(found, null);
    }

    /// <param name="folder">Empty, or with a slash at its end.</param>
    private IEnumerable<string> Keys(string folder)
    {
        var from = "";
        while (true)
        {
            var batch = Batch(folder, from);
            foreach (var entry in batch)
            {
                if (!entry.EndsWith('/'))
                {
                    yield return entry;
                    continue;
                }

                foreach (var key in Keys(entry))
                {
                    yield return key;
                }
            }

            if (batch.Count < BatchSize)
            {
                yield break;
            }

            from = batch[^1];
        }
    }

    /// <summary>The first entries behind <paramref name="from"/>, folders with a slash: so the order of entries is that of keys.</summary>
    private List<string> Batch(string folder, string from)
    {
        // The largest on top, to be pushed out by a smaller one.
        var smallest = new PriorityQueue<string, string>(Comparer<string>.Create((a, b) => string.CompareOrdinal(b, a)));
        try
        {
            foreach (var info in new DirectoryInfo(Path.Combine(root, folder)).EnumerateFileSystemInfos("*", Entries))
            {
                cancellationToken.ThrowIfCancellationRequested();
                var key = folder + info.Name;
                var isFolder = info is DirectoryInfo;
                var entry = isFolder ? key + '/' : key;
                if (!ObjectKey.IsValid(key) || string.CompareOrdinal(entry, from) <= 0 || !IsWanted(entry, isFolder))
                {
                    continue;
                }

                if (smallest.Count < BatchSize)
                {
                    smallest.Enqueue(entry, entry);
                }
                else
                {
                    smallest.EnqueueDequeue(entry, entry);
                }
            }
        }
        catch (DirectoryNotFoundException)
        {
            // Nothing was stored below that prefix.
        }

        var batch = new List<string>(smallest.Count);
        while (smallest.TryDequeue(out var entry, out _))
        {
            batch.Add(entry);
        }

        batch.Reverse();
        return batch;
    }

    private bool IsWanted(string entry, bool isFolder) => isFolder
        ? (entry.StartsWith(prefix, StringComparison.Ordinal) || prefix.StartsWith(entry, StringComparison.Ordinal))
            && (string.CompareOrdinal(entry, after) > 0 || after.StartsWith(entry, StringComparison.Ordinal))
        : entry.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(entry, after) > 0;
}
