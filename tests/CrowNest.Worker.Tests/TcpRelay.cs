using System.Net;
using System.Net.Sockets;

namespace CrowNest.Worker.Tests;

/// <summary>Stands between a node and its database, so that a test can take the database away and give it back.</summary>
internal sealed class TcpRelay : IDisposable
{
    private readonly IPEndPoint _target;
    private readonly int _port;
    private TcpListener? _listener;
    private CancellationTokenSource _cut = new();

    public TcpRelay(int targetPort)
    {
        _target = new IPEndPoint(IPAddress.Loopback, targetPort);
        _listener = new TcpListener(IPAddress.Loopback, 0);
        _listener.Start();
        _port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _ = AcceptAsync(_listener, _cut.Token);
    }

    public int Port => _port;

    /// <summary>Breaks every connection and refuses new ones.</summary>
    public void Cut()
    {
        _cut.Cancel();
        _listener?.Dispose();
        _listener = null;
    }

    public void Restore()
    {
        _cut.Dispose();
        _cut = new CancellationTokenSource();
        _listener = new TcpListener(IPAddress.Loopback, _port);
        _listener.Start();
        _ = AcceptAsync(_listener, _cut.Token);
    }

    public void Dispose()
    {
        Cut();
        _cut.Dispose();
    }

    private async Task AcceptAsync(TcpListener listener, CancellationToken cut)
    {
        try
        {
            while (true)
            {
                _ = RelayAsync(await listener.AcceptTcpClientAsync(cut), cut);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Cut.
        }
    }

    private async Task RelayAsync(TcpClient accepted, CancellationToken cut)
    {
        using var client = accepted;
        using var server = new TcpClient();
        try
        {
            await server.ConnectAsync(_target, cut);
            (client.NoDelay, server.NoDelay) = (true, true);
            await Task.WhenAny(
                client.GetStream().CopyToAsync(server.GetStream(), cut), server.GetStream().CopyToAsync(client.GetStream(), cut));
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException)
        {
            // Cut.
        }
    }
}
