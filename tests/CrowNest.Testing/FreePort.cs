using System.Net;
using System.Net.Sockets;

namespace CrowNest.Testing;

/// <summary>
/// Ports for servers of tests that run in parallel. They lie below those that the kernel gives to outgoing connections (from 32768), one of
/// which would else take a port between the look and the server's start; and below those of test.sh's own stack.
/// </summary>
public static class FreePort
{
    private const int First = 10_000;
    private const int Count = 10_000;

    // Every process begins elsewhere, and none hands out the same port twice.
    private static int s_last = Random.Shared.Next(Count);

    /// <summary>A loopback port that nobody listens on.</summary>
    public static int Next()
    {
        for (var tries = 0; tries < Count; tries++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref s_last) % Count);
            using var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException taken) when (taken.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // By another process: the next one.
            }
        }

        throw new InvalidOperationException($"No port from {First} to {First + Count - 1} is free.");
    }
}
