using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace CrowNest.Worker.Tests.Agents;

/// <summary>A socket that answers every connection with given bytes, as a sandbox that has taken its agent over could.</summary>
internal sealed class HostileAgent : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"crownest-test-agent-{Guid.NewGuid():n}");
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly byte[] _answer;
    private readonly bool _closes;

    /// <param name="closes">Whether it closes the connection behind the answer, or keeps silent.</param>
    public HostileAgent(byte[] answer, bool closes = true)
    {
        _answer = answer;
        _closes = closes;
        Directory.CreateDirectory(_folder);
        _listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        _listener.Listen();
        _ = ServeAsync();
    }

    public string SocketPath => Path.Combine(_folder, "agent.sock");

    /// <summary>A path beside the socket.</summary>
    public string Beside(string name) => Path.Combine(_folder, name);

    public static byte[] Http(string head, string body = "") =>
        Encoding.UTF8.GetBytes($"HTTP/1.1 {head}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    public static byte[] Upgraded(params byte[][] frames) =>
        [.. "HTTP/1.1 101 Switching Protocols\r\nUpgrade: crownest-output\r\n\r\n"u8, .. frames.SelectMany(f => f)];

    public static byte[] Frame(byte kind, long offset, byte[] payload, uint? length = null)
    {
        var frame = new byte[16 + payload.Length];
        frame[0] = kind;
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(4), length ?? (uint)payload.Length);
        BinaryPrimitives.WriteInt64LittleEndian(frame.AsSpan(8), offset);
        payload.CopyTo(frame, 16);
        return frame;
    }

    public void Dispose()
    {
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task ServeAsync()
    {
        var held = new List<Socket>();
        try
        {
            while (true)
            {
                var connection = await _listener.AcceptAsync();
                held.Add(connection);
                await connection.ReceiveAsync(new byte[4096]);
                await connection.SendAsync(_answer);
                if (_closes)
                {
                    connection.Shutdown(SocketShutdown.Both);
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            held.ForEach(c => c.Dispose());
        }
    }
}
