namespace CrowNest.Worker.Agents;

/// <summary>
/// The body of an agent's answer, bounded in size and, read by read, in time. Every fault of the agent is an
/// <see cref="AgentUnavailableException"/>; nothing it does shows up as an <see cref="IOException"/> of somebody else.
/// </summary>
/// <param name="maxBytes">More than these break the protocol.</param>
/// <param name="eachRead">How long a single read may take; null: what <paramref name="patience"/> expects already holds for all of it.</param>
internal sealed class AgentBody(HttpResponseMessage response, Stream inner, long maxBytes, TimeSpan? eachRead, AgentTimeouts patience) : Stream
{
    private readonly byte[] _beyond = new byte[1];

    /// <summary>Bytes read so far.</summary>
    public long Count { get; private set; }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => Count;
        set => throw new NotSupportedException();
    }

    public static async Task<AgentBody> OpenAsync(HttpResponseMessage response, long maxBytes, TimeSpan? eachRead, AgentTimeouts patience) =>
        new(response, await response.Content.ReadAsStreamAsync(patience.Token), maxBytes, eachRead, patience);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // At the limit there is still an end to be seen: without one the answer is longer, or was cut.
        var atLimit = Count == maxBytes;
        var room = atLimit ? _beyond : buffer[..(int)Math.Min(buffer.Length, maxBytes - Count)];
        using var canceled = cancellationToken.UnsafeRegister(static patience => ((AgentTimeouts)patience!).GiveUp(), patience);
        try
        {
            if (eachRead is { } limit)
            {
                patience.Expect(limit);
            }

            var read = await inner.ReadAsync(room, patience.Token);
            if (eachRead is not null)
            {
                patience.Rest();
            }

            if (atLimit && read > 0)
            {
                throw new AgentUnavailableException("The agent sends more than it announced.") { BrokeProtocol = true };
            }

            Count += read;
            return read;
        }
        catch (IOException exception)
        {
            throw new AgentUnavailableException("The agent's answer broke off.", exception);
        }
        catch (OperationCanceledException exception) when (patience.HasRunOut)
        {
            throw new AgentUnavailableException("The agent does not go on with its answer.", exception);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Only read asynchronously.");
    public override void Flush() => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            // Before its end this closes the connection.
            response.Dispose();
        }

        base.Dispose(disposing);
    }
}
