using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Commands;

/// <summary>
/// One upgraded connection: frames out, acknowledged offsets in (docs/protocols.md 2.2). Whatever becomes of it, the command does not
/// notice.
/// </summary>
internal sealed class OutputConnection(Command command, Stream stream, long from)
{
    internal const int HeaderSize = 16;
    private const int AcknowledgementSize = 8;

    private long _sent = from;
    private volatile bool _endSent;

    private bool IsDone => _endSent && command.Output.Acknowledged == command.Output.Produced;

    /// <summary>Returns when everything has been delivered and acknowledged, or the client is gone or breaks the protocol.</summary>
    internal async Task ServeAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var sending = SendAsync(stop.Token);
        var receiving = ReceiveAsync(stop.Token);
        if (await Task.WhenAny(sending, receiving) == sending && sending.IsCompletedSuccessfully && !IsDone) await receiving;
        await stop.CancelAsync();
        try
        {
            await Task.WhenAll(sending, receiving);
        }
        catch (OperationCanceledException) when (IsDone)
        {
            // Only the wait for more acknowledgements was cut short: let the connection flush and close, not abort.
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var more = command.Output.WhenMore(_sent);
            bool ended = command.HasEnded;
            if (await SendNextAsync(cancellationToken)) continue;
            if (ended)
            {
                await SendEndAsync(cancellationToken);
                return;
            }
            await more.WaitAsync(cancellationToken);
        }
    }

    private async Task<bool> SendNextAsync(CancellationToken cancellationToken)
    {
        // Rented for one frame, not for the connection: fifty quiet commands hold no buffer.
        byte[] frame = ArrayPool<byte>.Shared.Rent(HeaderSize + OutputBlock.Capacity);
        try
        {
            int length = command.Output.Copy(_sent, frame.AsSpan(HeaderSize, OutputBlock.Capacity), out var kind);
            if (length == 0) return false;
            WriteHeader(frame, kind, length, _sent);
            // Before the write: the acknowledgement may be here before the write returns.
            Interlocked.Add(ref _sent, length);
            await stream.WriteAsync(frame.AsMemory(0, HeaderSize + length), cancellationToken);
            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(frame);
        }
    }

    private async Task SendEndAsync(CancellationToken cancellationToken)
    {
        var state = command.State;
        byte[] payload = JsonSerializer.SerializeToUtf8Bytes(state, Wire.Default.CommandState);
        byte[] frame = new byte[HeaderSize + payload.Length];
        WriteHeader(frame, OutputKind.End, payload.Length, state.ProducedBytes);
        payload.CopyTo(frame, HeaderSize);
        await stream.WriteAsync(frame, cancellationToken);
        _endSent = true;
    }

    private async Task ReceiveAsync(CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[64 * AcknowledgementSize];
        int held = 0;
        while (true)
        {
            int n = await stream.ReadAsync(buffer.AsMemory(held), cancellationToken);
            if (n == 0) return;
            held += n;
            int whole = held / AcknowledgementSize * AcknowledgementSize;
            if (whole == 0) continue;
            // Offsets only grow; the last one says it all.
            long position = BinaryPrimitives.ReadInt64LittleEndian(buffer.AsSpan(whole - AcknowledgementSize));
            if (position < 0 || position > Interlocked.Read(ref _sent)) return;
            command.Output.Acknowledge(position);
            if (IsDone) return;
            buffer.AsSpan(whole, held - whole).CopyTo(buffer);
            held -= whole;
        }
    }

    private static void WriteHeader(Span<byte> header, OutputKind kind, int length, long offset)
    {
        header[..HeaderSize].Clear();
        header[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], length);
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], offset);
    }
}
