namespace CrowNest.Platform.Storage;

/// <summary>An opened object; dispose it to close the stream.</summary>
/// <param name="Content">
/// The bytes asked for; not seekable. A read throws <see cref="ObjectStoreException"/> when they end too soon, or stay away too long.
/// </param>
/// <param name="Length">Bytes that <paramref name="Content"/> gives.</param>
/// <param name="TotalLength">Bytes of the whole object.</param>
public sealed record StoredObject(Stream Content, long Length, long TotalLength) : IAsyncDisposable
{
    /// <summary>
    /// The same object, checked while it is read: the last bytes are handed out only when all of them have this digest, else the read
    /// throws <see cref="ObjectStoreException"/>. Takes <see cref="Content"/> over, so nothing of it may have been read.
    /// </summary>
    /// <param name="sha256">64 hex digits.</param>
    /// <exception cref="InvalidOperationException">Only a part of the object was opened.</exception>
    public StoredObject Verified(string sha256)
    {
        ArgumentNullException.ThrowIfNull(sha256);
        return Length == TotalLength
            ? this with { Content = new VerifiedContent(Content, Length, sha256) }
            : throw new InvalidOperationException("Only a whole object can be verified.");
    }

    public ValueTask DisposeAsync() => Content.DisposeAsync();
}
