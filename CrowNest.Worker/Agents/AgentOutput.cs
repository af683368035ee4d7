using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace CrowNest.Worker.Agents;

internal enum AgentFrameKind : byte
{
    Stdout = 1,
    Stderr = 2,
    End = 3,
}

/// <param name="Offset">Position of the first payload byte in the command's combined output.</param>
/// <param name="Payload">Valid until the next frame is read.</param>
/// <param name="State">Final state; present exactly when the kind is <see cref="AgentFrameKind.End"/>.</param>
internal readonly record struct AgentFrame(AgentFrameKind Kind, long Offset, ReadOnlyMemory<byte> Payload, AgentCommandState? State)
{
    public long EndOffset => Offset + (Kind == AgentFrameKind.End ? 0 : Payload.Length);
}

/// <summary>
/// One output connection (docs/protocols.md 2.2). A raw socket instead of an HTTP client's upgraded stream: the frames of a flood go from
/// the kernel into one buffer and are parsed there. One reader and one acknowledger at a time.
/// </summary>
internal sealed class AgentOutput : IAsyncDisposable
{
    private const int FrameHeaderBytes = 16;
    private const int MaxFrameBytes = 1024 * 1024;
    private const int MaxEndBytes = 64 * 1024;
    private const int MaxResponseHeaderBytes = 8 * 1024;
    private const int InitialBufferBytes = 16 * 1024;

    /// <summary>Reads of this size keep system calls rare in a flood; larger ones fall out of the cache.</summary>
    private const int FloodBufferBytes = 256 * 1024;

    private readonly Socket _socket;
    private readonly byte[] _acknowledgement = new byte[8];
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(InitialBufferBytes);
    private int _start;
    private int _end;
    private long _expected;
    private bool _ended;

    private AgentOutput(Socket socket, long from)
    {
        _socket = socket;
        _expected = from;
    }

    /// <summary>Whether the next <see cref="ReadFrameAsync"/> completes without waiting for the agent.</summary>
    public bool HasBufferedFrame =>
        _end - _start >= FrameHeaderBytes && _end - _start - FrameHeaderBytes >= PeekLength(_buffer.AsSpan(_start));

    internal static async Task<AgentOutput> OpenAsync(
        string socketPath, string id, long from, TimeSpan answerTimeout, CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(answerTimeout);
        AgentOutput? output = null;
        try
        {
            output = new AgentOutput(await AgentSocket.ConnectAsync(socketPath, timeout.Token), from);
            await output.UpgradeAsync(id, from, timeout.Token);
            return output;
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            await (output?.DisposeAsync() ?? ValueTask.CompletedTask);
            throw new AgentUnavailableException("The agent does not open the output in time.", exception);
        }
        catch
        {
            await (output?.DisposeAsync() ?? ValueTask.CompletedTask);
            throw;
        }
    }

    /// <summary>The next frame; after the end frame nothing may be read.</summary>
    /// <exception cref="AgentUnavailableException">The connection broke before the end frame, or what came is not the protocol.</exception>
    public async ValueTask<AgentFrame> ReadFrameAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_ended, this);
        await FillAsync(FrameHeaderBytes, cancellationToken);
        var header = _buffer.AsSpan(_start, FrameHeaderBytes);
        var kind = (AgentFrameKind)header[0];
        var length = PeekLength(header);
        var offset = BinaryPrimitives.ReadInt64LittleEndian(header[8..]);
        if (kind is not (AgentFrameKind.Stdout or AgentFrameKind.Stderr or AgentFrameKind.End)
            || length == 0 || length > (kind == AgentFrameKind.End ? MaxEndBytes : MaxFrameBytes)
            || offset != _expected)
        {
            throw Broken("a frame is malformed or out of order");
        }

        await FillAsync(FrameHeaderBytes + (int)length, cancellationToken);
        var payload = _buffer.AsMemory(_start + FrameHeaderBytes, (int)length);
        _start += FrameHeaderBytes + (int)length;
        if (kind != AgentFrameKind.End)
        {
            _expected += length;
            return new AgentFrame(kind, offset, payload, null);
        }

        _ended = true;
        return new AgentFrame(kind, offset, payload, ReadState(payload.Span));
    }

    /// <summary>Lets the agent forget everything before <paramref name="offset"/>.</summary>
    public async ValueTask AcknowledgeAsync(long offset, CancellationToken cancellationToken)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_acknowledgement, offset);
        try
        {
            for (var sent = 0; sent < _acknowledgement.Length;)
            {
                sent += await _socket.SendAsync(_acknowledgement.AsMemory(sent), SocketFlags.None, cancellationToken);
            }
        }
        catch (SocketException exception)
        {
            throw new AgentUnavailableException("The output connection broke.", exception);
        }
    }

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        var buffer = Interlocked.Exchange(ref _buffer, []);
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return ValueTask.CompletedTask;
    }

    private static uint PeekLength(ReadOnlySpan<byte> header) => BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);

    private static AgentUnavailableException Broken(string what) => new($"The agent breaks the protocol: {what}.") { BrokeProtocol = true };

    private static AgentCommandState ReadState(ReadOnlySpan<byte> json)
    {
        try
        {
            var state = JsonSerializer.Deserialize(json, AgentJson.Default.AgentCommandState);
            return state is { HasEnded: true } ? state : throw Broken("the end frame holds no final state");
        }
        catch (JsonException exception)
        {
            throw new AgentUnavailableException("The agent's end frame is not the protocol's.", exception) { BrokeProtocol = true };
        }
    }

    private async Task UpgradeAsync(string id, long from, CancellationToken cancellationToken)
    {
        var request = string.Create(CultureInfo.InvariantCulture, $"""
            GET /commands/{Uri.EscapeDataString(id)}/output?from={from} HTTP/1.1
            Host: agent
            Connection: Upgrade
            Upgrade: crownest-output


            """).ReplaceLineEndings("\r\n");
        try
        {
            await _socket.SendAsync(Encoding.ASCII.GetBytes(request), cancellationToken);
        }
        catch (SocketException exception)
        {
            throw new AgentUnavailableException("The agent does not accept the output connection.", exception);
        }

        int length;
        while ((length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (_end - _start >= MaxResponseHeaderBytes)
            {
                throw Broken("its header does not end");
            }

            await FillAsync(_end - _start + 1, cancellationToken);
        }

        var status = ReadStatus(_buffer.AsSpan(_start, length));
        _start += length + 4;
        if (status != 101)
        {
            // The body would only repeat what the status says.
            throw new AgentErrorException(status, status switch { 404 => "not_found", 410 => "stream_gap", _ => "invalid_request" },
                $"The agent refuses the output from {from} with {status}.");
        }
    }

    private static int ReadStatus(ReadOnlySpan<byte> header)
    {
        // "HTTP/1.1 101 Switching Protocols"
        if (header.Length >= 12 && header.StartsWith("HTTP/1.1 "u8)
            && int.TryParse(header.Slice(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var status))
        {
            return status;
        }

        throw Broken("it does not answer with HTTP/1.1");
    }

    /// <summary>Makes at least <paramref name="count"/> bytes lie between start and end.</summary>
    private async ValueTask FillAsync(int count, CancellationToken cancellationToken)
    {
        while (_end - _start < count)
        {
            MakeRoom(count);
            int read;
            try
            {
                read = await _socket.ReceiveAsync(_buffer.AsMemory(_end), SocketFlags.None, cancellationToken);
            }
            catch (SocketException exception)
            {
                throw new AgentUnavailableException("The output connection broke.", exception);
            }

            if (read == 0)
            {
                throw new AgentUnavailableException("The agent closed the output connection before the end.");
            }

            _end += read;
        }
    }

    private void MakeRoom(int count)
    {
        if (_start == _end)
        {
            // A read that filled the buffer was a flood's.
            if (_end == _buffer.Length && _buffer.Length < FloodBufferBytes)
            {
                Replace(FloodBufferBytes);
            }

            _start = _end = 0;
        }

        if (_buffer.Length - _start < count || _end == _buffer.Length)
        {
            if (_buffer.Length < count)
            {
                Replace(Math.Max(count, FloodBufferBytes));
            }
            else
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }
        }
    }

    private void Replace(int size)
    {
        var larger = ArrayPool<byte>.Shared.Rent(size);
        _buffer.AsSpan(_start, _end - _start).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
        _end -= _start;
        _start = 0;
    }
}
