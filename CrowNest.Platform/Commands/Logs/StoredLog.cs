using System.Runtime.CompilerServices;
using CrowNest.Contracts;
using CrowNest.Platform.Storage;

namespace CrowNest.Platform.Commands.Logs;

/// <summary>A finished command's log in the object store (docs/protocols.md 5).</summary>
internal static class StoredLog
{
    private const int ReadBytes = 64 * 1024;

    /// <summary>The records after <paramref name="afterSeq"/>.</summary>
    /// <exception cref="LogUnavailableException">The store is away, or has no such object.</exception>
    public static async IAsyncEnumerable<LogRecord> ReadAsync(
        IObjectStore objects, string key, long afterSeq, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var stored = await OpenAsync(objects, key, cancellationToken);
        var buffer = new byte[ReadBytes];
        var start = 0;
        var end = 0;
        while (true)
        {
            while (LogRecordHeader.TryRead(buffer.AsSpan(start, end - start), out var header)
                && end - start >= LogRecordHeader.Size + header.Length)
            {
                if (header.Seq > afterSeq)
                {
                    yield return header.ToRecord(buffer.AsSpan(start + LogRecordHeader.Size, header.Length).ToArray());
                }

                start += LogRecordHeader.Size + header.Length;
            }

            if (end - start >= LogRecordHeader.Size + Limits.LogChunkBytes)
            {
                throw new LogUnavailableException("The stored log is damaged.");
            }

            buffer.AsSpan(start, end - start).CopyTo(buffer);
            end -= start;
            start = 0;
            var read = await ReadSomeAsync(stored.Content, buffer.AsMemory(end), cancellationToken);
            if (read == 0)
            {
                if (end > 0)
                {
                    throw new LogUnavailableException("The stored log is damaged.");
                }

                yield break;
            }

            end += read;
        }
    }

    private static async Task<StoredObject> OpenAsync(IObjectStore objects, string key, CancellationToken cancellationToken)
    {
        try
        {
            return await objects.GetAsync(key, null, cancellationToken) ?? throw new LogUnavailableException("The stored log is gone.");
        }
        catch (ObjectStoreException exception)
        {
            throw new LogUnavailableException("The object store is not available.", exception);
        }
    }

    private static async ValueTask<int> ReadSomeAsync(Stream content, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await content.ReadAsync(buffer, cancellationToken);
        }
        catch (ObjectStoreException exception)
        {
            throw new LogUnavailableException("The object store is not available.", exception);
        }
    }
}
