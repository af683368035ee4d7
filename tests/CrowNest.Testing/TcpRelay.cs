using System.Net;
using System.Net.Sockets;

namespace CrowNest.Testing;

/// <summary>Stands between a service and its database, so that a test can take the database away and give it back.</summary>
public sealed class TcpRelay : IDisposable
{
    private readonly IPEndPoint _target;
    private readonly int _port;
    private volatile bool _isSilent;
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

    /// <summary>Breaks every connection; new ones are taken and hear nothing, as behind a proxy whose target has gone.</summary>
    public void Silence()
    {
        Cut();
        _isSilent = true;
        Listen();
    }

    public void Restore()
    {
        Cut();
        _isSilent = false;
        Listen();
    }

    public void Dispose()
    {
        Cut();
        _cut.Dispose();
    }

    private void Listen()
    {
        _cut.Dispose();
        _cut = new CancellationTokenSource();
        _listener = new TcpListener(IPAddress.Loopback, _port);
        _listener.Start();
        _ = AcceptAsync(_listener, _cut.Token);
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
            if (_isSilent)
            {
                await Task.Delay(Timeout.Infinite, cut);
            }

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
