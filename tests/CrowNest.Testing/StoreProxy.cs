using System.Net;
using System.Net.Sockets;
using System.Text;

namespace CrowNest.Testing;

/// <summary>A way to the S3 server that can be cut, made silent, and opened again.</summary>
public sealed class StoreProxy : IAsyncDisposable
{
    private readonly Uri _server;
    private readonly CancellationTokenSource _stop = new();
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> _sockets = [];
    private readonly Task _accepting;
    private string? _answerToLose;
    private long _sent;
    private long _received;

    public StoreProxy(string server)
    {
        _server = new Uri(server);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Endpoint => $"http://{_listener.LocalEndpoint}";

    /// <summary>Whether the server is away: connections are closed at once.</summary>
    public bool IsCut { get; set; }

    /// <summary>Whether the server is silent: it takes everything and says nothing.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Requests seen so far that the silent server has taken.</summary>
    public int Connections { get; private set; }

    /// <summary>Bytes that went to the server, and that came from it.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    public long Received => Interlocked.Read(ref _received);

    /// <summary>The first request that contains this is served, and its answer lost with the connection.</summary>
    public void LoseAnswerTo(string text) => _answerToLose = text;

    /// <summary>The server goes away, with everything that is under way.</summary>
    public void Cut()
    {
        IsCut = true;
        CloseConnections();
    }

    /// <summary>Closes what is open.</summary>
    public void CloseConnections()
    {
        lock (_sockets)
        {
            foreach (var socket in _sockets)
            {
                socket.Dispose();
            }

            _sockets.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        CloseConnections();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync(_stop.Token);
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            Connections++;
            if (IsCut)
            {
                client.Dispose();
                continue;
            }

            _ = ServeAsync(client);
        }
    }

    private async Task ServeAsync(Socket client)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.NoDelay = true;
        lock (_sockets)
        {
            _sockets.AddRange([client, server]);
        }

        var lose = new StrongBox();
        try
        {
            await server.ConnectAsync(IPAddress.Parse(_server.Host), _server.Port, _stop.Token);
            await Task.WhenAny(PumpAsync(client, server, toServer: true, lose), PumpAsync(server, client, toServer: false, lose));
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // One side has gone, or the test has ended.
        }
        finally
        {
            client.Dispose();
            server.Dispose();
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool toServer, StrongBox lose)
    {
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await from.ReceiveAsync(buffer, SocketFlags.None, _stop.Token)) > 0)
        {
            if (toServer && _answerToLose is { } text && Encoding.ASCII.GetString(buffer, 0, read).Contains(text, StringComparison.Ordinal))
            {
                _answerToLose = null;
                lose.Value = true;
            }

            if (!toServer && lose.Value)
            {
                return;
            }

            // Silent from now on, also in the middle of an answer.
            if (IsSilent && !toServer)
            {
                await Task.Delay(Timeout.Infinite, _stop.Token);
            }

            await to.SendAsync(buffer.AsMemory(0, read), SocketFlags.None, _stop.Token);
            Interlocked.Add(ref toServer ? ref _sent : ref _received, read);
        }
    }

    private sealed class StrongBox
    {
        public bool Value { get; set; }
    }
}
