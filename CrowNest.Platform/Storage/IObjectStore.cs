namespace CrowNest.Platform.Storage;

/// <summary>
/// What lasts: finished logs, artifacts, archives. Objects are written whole or not at all, and a later put of a key replaces the earlier
/// one. Every method, and every read of an opened object, throws <see cref="ObjectStoreException"/> when the store cannot do its part,
/// within the time limits of <see cref="ObjectsOptions"/>; methods throw <see cref="ArgumentException"/> for a key that is not legal
/// (<see cref="ObjectKey"/>).
/// </summary>
public interface IObjectStore
{
    /// <summary>
    /// Stores an object, and hashes it on the way. When <paramref name="content"/> fails, nothing is stored and its exception passes as it
    /// is. When it does not give <paramref name="length"/> bytes, nothing is stored: <see cref="ObjectStoreException"/>. After any other
    /// failure the old object is there as it was; only when the store's answer was lost on the way may the new one be.
    /// </summary>
    /// <param name="content">Read from its present position to its end; memory does not grow with it.</param>
    /// <param name="length">Bytes that <paramref name="content"/> will give; null: unknown.</param>
    Task<ObjectDigest> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken);

    /// <summary>Opens an object; null when there is none.</summary>
    /// <param name="range">Part wanted; null: all of it. A range behind the end gives an empty stream.</param>
    Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken);

    /// <summary>Size of an object; null when there is none.</summary>
    Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken);

    /// <summary>Removes an object; removing none is no error.</summary>
    Task DeleteAsync(string key, CancellationToken cancellationToken);

    /// <summary>One page of the finished objects, by key, ordinal. A page can be short, or empty, and have a next one.</summary>
    /// <param name="prefix">Text that keys begin with; empty: all.</param>
    /// <param name="after">Only keys behind this one: <see cref="ObjectPage.Next"/> of the page before.</param>
    /// <param name="olderThan">Only objects last written before this time; null: all.</param>
    /// <param name="limit">Objects looked at, at most; 1 to <see cref="ObjectPage.MaxLimit"/>.</param>
    Task<ObjectPage> ListAsync(
        string prefix, string? after, DateTimeOffset? olderThan, int limit, CancellationToken cancellationToken);
}

/// <param name="Length">Bytes stored.</param>
/// <param name="Sha256">Of the bytes stored: 64 lower-case hex digits.</param>
public sealed record ObjectDigest(long Length, string Sha256);

/// <param name="Offset">First byte, from 0.</param>
/// <param name="Length">Bytes at most; null: to the end.</param>
public readonly record struct ObjectRange(long Offset, long? Length = null);

/// <param name="Length">Bytes of the whole object.</param>
public sealed record ObjectStat(long Length, DateTimeOffset ModifiedAt);

/// <param name="Length">Bytes of the whole object.</param>
public sealed record ObjectEntry(string Key, long Length, DateTimeOffset ModifiedAt);

/// <param name="Next">Where the next page begins; null: this was the last.</param>
public sealed record ObjectPage(IReadOnlyList<ObjectEntry> Objects, string? Next)
{
    public const int MaxLimit = 1000;
}

/// <summary>The store did not do what was asked of it: it is away, full, or refuses. Trying again later may succeed.</summary>
public sealed class ObjectStoreException : Exception
{
    public ObjectStoreException(string message)
        : base(message)
    {
    }

    public ObjectStoreException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The object is there and is not what it should be: trying again will not help.</summary>
    public bool IsDamaged { get; init; }
}
