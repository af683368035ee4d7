namespace CrowNest.Platform.Storage;

/// <summary>
/// Objects as files below one folder. An object is written beside its place, synced, and renamed into it, so that a crash leaves the old
/// one or the new one, and at worst a left-over in the folder of unfinished files, which a later start removes.
/// </summary>
internal sealed class FolderObjectStore : IObjectStore
{
    /// <summary>No key begins with a dot, so this folder is out of every key's reach.</summary>
    private const string Unfinished = ".unfinished";

    /// <summary>
    /// Files of living processes are locked, so younger ones than this are spared only for file systems without locks, and for the
    /// moments between creating a file and locking it, and between letting go and renaming it.
    /// </summary>
    private static readonly TimeSpan LeftOverAge = TimeSpan.FromMinutes(10);

    private readonly string _root;
    private readonly string _unfinished;
    private readonly TimeSpan _patience;

    public FolderObjectStore(string root, TimeProvider clock)
        : this(new ObjectsOptions { Directory = root }, clock)
    {
    }

    public FolderObjectStore(ObjectsOptions options, TimeProvider clock)
    {
        _root = Path.GetFullPath(options.Directory!);
        _unfinished = Path.Combine(_root, Unfinished);
        _patience = options.RequestTimeout;
        Directory.CreateDirectory(_unfinished);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        RemoveLeftOvers(clock.GetUtcNow() - LeftOverAge);
    }

    public async Task<ObjectDigest> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(content);
        var path = PathOf(key);
        await using var file = new FolderObjectWriter(Path.Combine(_unfinished, Guid.NewGuid().ToString("n")), key);
        var digest = await file.WriteAsync(content, cancellationToken);
        if (length is { } expected && expected != digest.Length)
        {
            throw new ObjectStoreException($"The content of {key} has {digest.Length} bytes instead of {expected}.");
        }

        await Task.Run(() => file.Publish(_root, path), cancellationToken);
        return digest;
    }

    public Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        if (range is { } asked)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(asked.Offset, nameof(range));
        }

        FileStream? file = null;
        try
        {
            file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 1, useAsync: true);
            var total = file.Length;
            var offset = Math.Min(range?.Offset ?? 0, total);
            var length = Math.Clamp(range?.Length ?? long.MaxValue, 0, total - offset);
            file.Position = offset;
            return Task.FromResult<StoredObject?>(new StoredObject(new StoredContent(file, length, key, _patience), length, total));
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            CheckIsThere();
            return Task.FromResult<StoredObject?>(null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            file?.Dispose();
            throw new ObjectStoreException($"{key} cannot be read.", exception);
        }
    }

    public Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken)
    {
        var file = new FileInfo(PathOf(key));
        if (file.Exists)
        {
            return Task.FromResult<ObjectStat?>(new ObjectStat(file.Length, file.LastWriteTimeUtc));
        }

        CheckIsThere();
        return Task.FromResult<ObjectStat?>(null);
    }

    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            File.Delete(PathOf(key));
        }
        catch (DirectoryNotFoundException)
        {
            // Nothing was ever stored below that prefix, if there is a store.
            CheckIsThere();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ObjectStoreException($"{key} cannot be deleted.", exception);
        }

        return Task.CompletedTask;
    }

    public async Task<ObjectPage> ListAsync(
        string prefix, string? after, DateTimeOffset? olderThan, int limit, CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, ObjectPage.MaxLimit);
        try
        {
            CheckIsThere();
            return await Task.Run(
                () => new FolderListing(_root, prefix, after ?? "", cancellationToken).Page(olderThan, limit), cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ObjectStoreException("The objects cannot be listed.", exception);
        }
    }

    /// <summary>A folder that is not mounted must not look like one without objects.</summary>
    private void CheckIsThere()
    {
        if (!Directory.Exists(_unfinished))
        {
            throw new ObjectStoreException($"The folder of objects is away: {_root}");
        }
    }

    private void RemoveLeftOvers(DateTimeOffset before)
    {
        foreach (var file in new DirectoryInfo(_unfinished).EnumerateFiles().Where(f => f.LastWriteTimeUtc < before))
        {
            try
            {
                using (file.Open(FileMode.Open, FileAccess.Write, FileShare.None))
                {
                    file.Delete();
                }
            }
            catch (IOException)
            {
                // Someone is writing it, or another process was quicker.
            }
        }
    }

    private string PathOf(string key)
    {
        ObjectKey.Validate(key);
        return Path.Combine(_root, key);
    }
}
