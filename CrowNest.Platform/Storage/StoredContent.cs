using Amazon.Runtime;

namespace CrowNest.Platform.Storage;

/// <summary>
/// The next <paramref name="length"/> bytes of an opened object: no more, and an <see cref="ObjectStoreException"/> instead of fewer.
/// </summary>
/// <param name="name">What is read, for messages.</param>
/// <param name="patience">How long one read may wait for the store.</param>
internal sealed class StoredContent(Stream inner, long length, string name, TimeSpan patience) : ReadOnlyStream(inner, length)
{
    private readonly long _length = length;
    private readonly CancellationTokenSource _stalled = new();

    public override int Read(Span<byte> buffer)
    {
        buffer = buffer[..(int)Math.Min(buffer.Length, _length - Consumed)];
        if (buffer.IsEmpty)
        {
            return 0;
        }

        try
        {
            return Count(Inner.Read(buffer));
        }
        catch (Exception exception) when (IsTheStores(exception))
        {
            throw new ObjectStoreException($"{name} cannot be read further.", exception);
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        buffer = buffer[..(int)Math.Min(buffer.Length, _length - Consumed)];
        if (buffer.IsEmpty)
        {
            return 0;
        }

        try
        {
            using var canceled = cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _stalled);
            _stalled.CancelAfter(patience);
            var read = await Inner.ReadAsync(buffer, _stalled.Token);
            _stalled.CancelAfter(Timeout.InfiniteTimeSpan);
            return Count(read);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw;
        }
        catch (OperationCanceledException exception)
        {
            throw new ObjectStoreException($"{name}: nothing came for {patience.TotalSeconds:0.#} s.", exception);
        }
        catch (Exception exception) when (IsTheStores(exception))
        {
            throw new ObjectStoreException($"{name} cannot be read further.", exception);
        }
    }

    public override ValueTask DisposeAsync()
    {
        _stalled.Dispose();
        return base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _stalled.Dispose();
        }

        base.Dispose(disposing);
    }

    private static bool IsTheStores(Exception exception) =>
        exception is IOException or HttpRequestException or AmazonClientException or TimeoutException;

    private int Count(int read)
    {
        if (read == 0)
        {
            throw new ObjectStoreException($"{name} ended {_length - Consumed} bytes too soon.");
        }

        Consumed += read;
        return read;
    }
}
