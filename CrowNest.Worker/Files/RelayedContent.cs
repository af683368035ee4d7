using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Files;

/// <summary>
/// A body on its way to an agent, block by block: the next one is read when the agent has taken the last. A source that fails breaks the
/// request off, so that the agent sees that it is not whole.
/// </summary>
internal sealed class RelayedContent : HttpContent
{
    private const int BlockBytes = 256 * 1024;
    private const int SmallBlockBytes = 4096;

    private readonly Stream _source;
    private readonly long? _length;
    private readonly TimeSpan _stall;
    private readonly TimeSpan _within;
    private readonly AgentTimeouts _patience;

    /// <param name="length">Bytes of <paramref name="source"/>; null: unknown.</param>
    /// <param name="stall">How long the agent may take for one block.</param>
    /// <param name="within">How long it may take to answer after the last one.</param>
    public RelayedContent(Stream source, long? length, string mediaType, TimeSpan stall, TimeSpan within, AgentTimeouts patience)
    {
        _source = source;
        _length = length;
        _stall = stall;
        _within = within;
        _patience = patience;
        Headers.ContentType = new MediaTypeHeaderValue(mediaType);
    }

    /// <summary>Why the source could not be read; null: it was, as far as the agent wanted it.</summary>
    public Exception? SourceFailure { get; private set; }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var block = ArrayPool<byte>.Shared.Rent(BlockBytes);
        try
        {
            int read;
            while ((read = await ReadAsync(block, cancellationToken)) > 0)
            {
                _patience.Expect(_stall);
                await stream.WriteAsync(block.AsMemory(0, read), cancellationToken);
                if (read < SmallBlockBytes)
                {
                    // The HTTP client would hold it back until more comes.
                    await stream.FlushAsync(cancellationToken);
                }
            }

            _patience.Expect(_within);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _length ?? 0;
        return _length is not null;
    }

    private async ValueTask<int> ReadAsync(byte[] block, CancellationToken cancellationToken)
    {
        // However long the caller takes for it; who is too slow is the API's matter.
        _patience.Rest();
        try
        {
            return await _source.ReadAsync(block, cancellationToken);
        }
        catch (Exception exception)
        {
            SourceFailure = exception;
            throw;
        }
    }
}
