namespace CrowNest.Platform.Objects;

/// <summary>
/// Objects as files below one folder. An object is written beside its place, synced, and renamed into it, so that a crash leaves the old
/// one or the new one, and at worst a left-over in the folder of unfinished files, which the next start removes.
/// </summary>
internal sealed class FolderObjectStore : IObjectStore
{
    /// <summary>No key begins with a dot, so this folder is out of every key's reach.</summary>
    private const string Unfinished = ".unfinished";
    private const int BufferBytes = 64 * 1024;

    /// <summary>Left-overs older than this are no longer anyone's: API and worker may share the folder.</summary>
    private static readonly TimeSpan LeftOverAge = TimeSpan.FromDays(1);

    private readonly string _root;
    private readonly string _unfinished;

    public FolderObjectStore(string root, TimeProvider clock)
    {
        _root = Path.GetFullPath(root);
        _unfinished = Path.Combine(_root, Unfinished);
        Directory.CreateDirectory(_unfinished);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var old = clock.GetUtcNow() - LeftOverAge;
        foreach (var file in new DirectoryInfo(_unfinished).EnumerateFiles().Where(f => f.LastWriteTimeUtc < old))
        {
            file.Delete();
        }
    }

    public async Task<long> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(content);
        var path = PathOf(key);
        var unfinished = Path.Combine(_unfinished, Guid.NewGuid().ToString("n"));
        try
        {
            long written;
            await using (var file = new FileStream(unfinished, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                await content.CopyToAsync(file, BufferBytes, cancellationToken);
                written = file.Position;
                if (length is { } expected && expected != written)
                {
                    throw new ObjectStoreException($"The content of {key} has {written} bytes instead of {expected}.");
                }

                file.Flush(flushToDisk: true);
            }

            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.Move(unfinished, path, overwrite: true);
            return written;
        }
        catch (Exception exception)
        {
            File.Delete(unfinished);
            if (exception is IOException or UnauthorizedAccessException)
            {
                throw new ObjectStoreException($"{key} can not be stored.", exception);
            }

            throw;
        }
    }

    public Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken)
    {
        try
        {
            var file = new FileStream(
                PathOf(key), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 1, useAsync: true);
            var total = file.Length;
            if (range is not { } wanted)
            {
                return Task.FromResult<StoredObject?>(new StoredObject(file, total, total));
            }

            ArgumentOutOfRangeException.ThrowIfNegative(wanted.Offset, nameof(range));
            var offset = Math.Min(wanted.Offset, total);
            var length = Math.Clamp(wanted.Length ?? long.MaxValue, 0, total - offset);
            file.Position = offset;
            return Task.FromResult<StoredObject?>(new StoredObject(new BoundedStream(file, length), length, total));
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromResult<StoredObject?>(null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ObjectStoreException($"{key} can not be read.", exception);
        }
    }

    public Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken)
    {
        var file = new FileInfo(PathOf(key));
        return Task.FromResult(file.Exists ? new ObjectStat(file.Length, file.LastWriteTimeUtc) : null);
    }

    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            File.Delete(PathOf(key));
        }
        catch (DirectoryNotFoundException)
        {
            // Nothing was ever stored below that prefix.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ObjectStoreException($"{key} can not be deleted.", exception);
        }

        return Task.CompletedTask;
    }

    private string PathOf(string key)
    {
        ObjectKey.Validate(key);
        return Path.Combine(_root, key);
    }
}
