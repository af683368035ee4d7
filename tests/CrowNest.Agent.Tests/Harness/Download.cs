using System.Net.Sockets;

namespace CrowNest.Agent.Tests.Harness;

/// <summary>A file's content that is read as slowly as a test likes.</summary>
internal sealed class Download : IAsyncDisposable
{
    private readonly HttpClient _http;
    private readonly HttpResponseMessage _response;
    private readonly Stream _stream;
    private long _read;

    private Download(HttpClient http, HttpResponseMessage response, Stream stream)
    {
        _http = http;
        _response = response;
        _stream = stream;
    }

    internal static async Task<Download> OpenAsync(string socket, string path, string route = "content")
    {
        var http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                // Small, so that the agent notices soon that nobody reads.
                var s = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveBufferSize = 4096 };
                await s.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellationToken);
                return new NetworkStream(s, ownsSocket: true);
            },
        });
        var response = await http.GetAsync(
            $"http://agent/files/{route}?path={Uri.EscapeDataString(path)}", HttpCompletionOption.ResponseHeadersRead);
        Assert.True(response.IsSuccessStatusCode);
        return new Download(http, response, await response.Content.ReadAsStreamAsync());
    }

    internal async Task ReadAsync(int count)
    {
        await _stream.ReadExactlyAsync(new byte[count]);
        _read += count;
    }

    /// <summary>All bytes there were, and whether the body ended as a complete one.</summary>
    internal async Task<(long Length, bool IsComplete)> ReadToEndAsync()
    {
        byte[] buffer = new byte[64 * 1024];
        try
        {
            int n;
            while ((n = await _stream.ReadAsync(buffer)) > 0) _read += n;
            return (_read, true);
        }
        catch (IOException)
        {
            return (_read, false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        _response.Dispose();
        _http.Dispose();
    }
}
