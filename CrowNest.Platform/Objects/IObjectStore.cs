namespace CrowNest.Platform.Objects;

/// <summary>
/// What lasts: finished logs, artifacts, archives. Objects are written whole or not at all, and a later put of a key replaces the earlier
/// one. Every method throws <see cref="ObjectStoreException"/> when the store can not do its part, and <see cref="ArgumentException"/>
/// for a key that is not legal (<see cref="ObjectKey"/>).
/// </summary>
public interface IObjectStore
{
    /// <summary>
    /// Stores an object. When <paramref name="content"/> fails, or ends before <paramref name="length"/>, nothing is stored.
    /// </summary>
    /// <param name="content">Read from its present position to its end.</param>
    /// <param name="length">Bytes that <paramref name="content"/> will give; null: unknown.</param>
    /// <returns>Bytes stored.</returns>
    Task<long> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken);

    /// <summary>Opens an object; null when there is none.</summary>
    /// <param name="range">Part wanted; null: all of it. A range behind the end gives an empty stream.</param>
    Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken);

    /// <summary>Size of an object; null when there is none.</summary>
    Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken);

    /// <summary>Removes an object; removing none is no error.</summary>
    Task DeleteAsync(string key, CancellationToken cancellationToken);
}

/// <param name="Offset">First byte, from 0.</param>
/// <param name="Length">Bytes at most; null: to the end.</param>
public readonly record struct ObjectRange(long Offset, long? Length = null);

/// <param name="Length">Bytes of the whole object.</param>
public sealed record ObjectStat(long Length, DateTimeOffset ModifiedAt);

/// <summary>An opened object; dispose it to close the stream.</summary>
/// <param name="Content">The bytes asked for; not seekable in general.</param>
/// <param name="Length">Bytes that <paramref name="Content"/> gives.</param>
/// <param name="TotalLength">Bytes of the whole object.</param>
public sealed record StoredObject(Stream Content, long Length, long TotalLength) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Content.DisposeAsync();
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
}

/// <summary>
/// Form of a key: segments of <c>A-Z a-z 0-9 . _ -</c> joined by <c>/</c>, none of them empty or beginning with a dot, at most 512
/// characters. It is a legal file path below any root and needs no escaping in a URL.
/// </summary>
public static class ObjectKey
{
    private const int MaxLength = 512;

    /// <summary>Key of a finished command's log (docs/protocols.md 5).</summary>
    public static string CommandLog(string orgId, string commandId) => $"logs/{orgId}/{commandId}";

    /// <summary>Key of an artifact; opaque to callers, unique, without any path of theirs (api.md 7.1).</summary>
    public static string Artifact(string orgId, string artifactId) => $"artifacts/{orgId}/{artifactId}";

    public static bool IsValid(string? key)
    {
        if (string.IsNullOrEmpty(key) || key.Length > MaxLength)
        {
            return false;
        }

        var startsSegment = true;
        foreach (var c in key)
        {
            if (startsSegment ? !char.IsAsciiLetterOrDigit(c) && c is not ('_' or '-')
                : !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-' or '/'))
            {
                return false;
            }

            startsSegment = c == '/';
        }

        return !startsSegment;
    }

    /// <exception cref="ArgumentException">The key is not legal.</exception>
    public static void Validate(string? key)
    {
        if (!IsValid(key))
        {
            throw new ArgumentException("Not a legal object key.", nameof(key));
        }
    }
}
