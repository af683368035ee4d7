using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace CrowNest.Agent.Tests.Harness;

internal sealed record Frame(byte Kind, long Offset, byte[] Payload)
{
    internal const byte Stdout = 1, Stderr = 2, End = 3;

    internal long Next => Offset + Payload.Length;
}

/// <summary>The client side of docs/protocols.md 2.2, over a bare socket so that a test can stall or break it.</summary>
internal sealed class OutputReader : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly BufferedStream _stream;

    private OutputReader(string path)
    {
        _socket.Connect(new UnixDomainSocketEndPoint(path));
        _stream = new BufferedStream(new NetworkStream(_socket, ownsSocket: true), 256 * 1024);
    }

    internal int Status { get; private set; }

    internal string Head { get; private set; } = "";

    /// <summary>Body of an answer that was no upgrade.</summary>
    internal string Body { get; private set; } = "";

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    internal static async Task<OutputReader> OpenAsync(string path, string id, long from)
    {
        var reader = new OutputReader(path);
        var request = $"GET /commands/{id}/output?from={from} HTTP/1.1\r\nHost: agent\r\n"
            + "Connection: Upgrade\r\nUpgrade: crownest-output\r\n\r\n";
        await reader._socket.SendAsync(Encoding.ASCII.GetBytes(request));
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await reader.FillAsync(one);
            head.Append((char)one[0]);
        }
        reader.Head = head.ToString();
        reader.Status = int.Parse(reader.Head.Split(' ')[1]);
        if (reader.Status != 101)
        {
            var length = reader.Head.Split("\r\n").First(l => l.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
            var body = new byte[int.Parse(length.Split(':')[1])];
            await reader.FillAsync(body);
            reader.Body = Encoding.UTF8.GetString(body);
        }
        return reader;
    }

    /// <summary>The next frame; null when the agent has closed the connection.</summary>
    internal async Task<Frame?> NextAsync()
    {
        var header = new byte[16];
        if (!await FillAsync(header, mayEnd: true)) return null;
        Assert.Equal(0, header[1] | header[2] | header[3]);
        var payload = new byte[BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(4))];
        await FillAsync(payload);
        return new Frame(header[0], BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(8)), payload);
    }

    internal async Task AcknowledgeAsync(long offset)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, offset);
        await _socket.SendAsync(bytes);
    }

    /// <summary>Everything until the end frame, acknowledged frame by frame; then the agent must close.</summary>
    internal async Task<Outcome> ReadToEndAsync()
    {
        Assert.Equal(101, Status);
        using MemoryStream stdout = new(), stderr = new();
        for (long? expected = null; ;)
        {
            var frame = await NextAsync() ?? throw new IOException("closed before the end frame");
            Assert.Equal(expected ?? frame.Offset, frame.Offset);
            if (frame.Kind == Frame.End)
            {
                Assert.Null(await NextAsync());
                return new Outcome(JsonSerializer.Deserialize<JsonElement>(frame.Payload), stdout.ToArray(), stderr.ToArray());
            }
            Assert.NotEmpty(frame.Payload);
            (frame.Kind == Frame.Stdout ? stdout : stderr).Write(frame.Payload);
            expected = frame.Next;
            await AcknowledgeAsync(frame.Next);
        }
    }

    private async Task<bool> FillAsync(Memory<byte> buffer, bool mayEnd = false)
    {
        using var patience = new CancellationTokenSource(s_patience);
        int held = 0;
        while (held < buffer.Length)
        {
            int n = 0;
            try
            {
                n = await _stream.ReadAsync(buffer[held..], patience.Token);
            }
            catch (IOException) when (mayEnd && held == 0)
            {
                // An aborted connection ends like a closed one.
            }
            if (n == 0) return mayEnd && held == 0 ? false : throw new IOException("closed within a frame");
            held += n;
        }
        return true;
    }
}
