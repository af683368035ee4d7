using System.Buffers;
using System.Net;
using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Files;

/// <summary>
/// The body of a client's request on its way to a node. It ends whole or not at all: when the client breaks off, sends too much, or too
/// little, the node sees a broken body and keeps nothing.
/// </summary>
/// <param name="ceiling">Bytes taken at most.</param>
/// <param name="expected">Bytes that must come; null: any number up to the ceiling.</param>
internal sealed class UploadContent(HttpContext context, Transfers transfers, long ceiling, long? expected) : HttpContent
{
    /// <summary>Bytes sent on.</summary>
    public long Sent { get; private set; }

    /// <summary>Why the client's side ended the transfer; null when it did not.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Refuses by the length that the request announces, before anything is read.</summary>
    public void CheckLength()
    {
        if (context.Request.ContentLength is { } length)
        {
            Check(length);
            CheckWhole(length);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? _, CancellationToken cancellationToken)
    {
        Transfers.LiftLimits(context);
        using var stall = transfers.Watch(context);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stall.Token, cancellationToken);
        var buffer = ArrayPool<byte>.Shared.Rent(Transfers.BufferBytes);
        int read;
        while ((read = await ReadAsync(buffer, stall)) > 0)
        {
            await stream.WriteAsync(buffer.AsMemory(0, read), either.Token);
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = context.Request.ContentLength ?? 0;
        return context.Request.ContentLength is not null;
    }

    private async Task<int> ReadAsync(byte[] buffer, Transfers.Stall stall)
    {
        try
        {
            var read = await stall.WithinAsync(context.Request.Body.ReadAsync(buffer, stall.Token));
            Sent += read;
            Check(Sent);
            if (read == 0)
            {
                CheckWhole(Sent);
            }

            return read;
        }
        catch (Exception e)
        {
            Failure = e;
            throw;
        }
    }

    private void Check(long length)
    {
        if (length > ceiling)
        {
            throw FileRules.TooLarge(ceiling);
        }

        if (length > expected)
        {
            throw SizeMismatch(expected.Value);
        }
    }

    private void CheckWhole(long length)
    {
        if (expected is { } wanted && length != wanted)
        {
            throw SizeMismatch(wanted);
        }
    }

    private static ApiException SizeMismatch(long expected) => new(
        ErrorCodes.UploadSizeMismatch, $"The body does not have the {expected} bytes that were announced.",
        new System.Text.Json.Nodes.JsonObject { ["sizeBytes"] = expected });
}
