using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;

namespace CrowNest.Agent.Tests.Harness;

/// <summary>What a command came to, and all it wrote.</summary>
internal sealed record Outcome(JsonElement State, byte[] Stdout, byte[] Stderr)
{
    internal string Out => System.Text.Encoding.UTF8.GetString(Stdout);

    internal string Err => System.Text.Encoding.UTF8.GetString(Stderr);

    internal int? ExitCode => State.TryGetProperty("exitCode", out var code) ? code.GetInt32() : null;

    internal string? Text(string name) => State.TryGetProperty(name, out var value) ? value.GetString() : null;
}

/// <summary>Speaks docs/protocols.md 2 without any code of the agent.</summary>
internal sealed class AgentClient(string socket) : IDisposable
{
    private static int s_ids;

    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var s = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await s.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellationToken);
            return new NetworkStream(s, ownsSocket: true);
        },
    })
    {
        BaseAddress = new Uri("http://agent"),
    };

    public void Dispose() => _http.Dispose();

    internal static string NewId() => $"cmd_{Interlocked.Increment(ref s_ids)}";

    internal Task<JsonElement> HealthAsync() => _http.GetFromJsonAsync<JsonElement>("/health");

    internal async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(HttpMethod method, string path, object? body = null)
    {
        // Default options: names of environment variables must not be turned to camel case.
        using var content = body is null ? null : JsonContent.Create(body, options: JsonSerializerOptions.Default);
        using var request = new HttpRequestMessage(method, path) { Content = content };
        using var response = await _http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, text.Length == 0 ? default : JsonSerializer.Deserialize<JsonElement>(text));
    }

    /// <summary>A request below /files; a string is the raw body, anything else but bytes is sent as JSON.</summary>
    internal async Task<FileAnswer> FilesAsync(
        HttpMethod method, string route, (string Name, object Value)[] query, object? body = null,
            CancellationToken cancellationToken = default)
    {
        var text = string.Join('&', query.Select(q => $"{q.Name}={Uri.EscapeDataString($"{q.Value}")}"));
        using var content = body switch
        {
            null => null,
            HttpContent given => given,
            byte[] bytes => new ByteArrayContent(bytes),
            string s => new StringContent(s),
            _ => JsonContent.Create(body, options: JsonSerializerOptions.Default),
        };
        using var request = new HttpRequestMessage(method, $"/files{route}?{text}") { Content = content };
        using var response = await _http.SendAsync(request, cancellationToken);
        return new FileAnswer((int)response.StatusCode, await response.Content.ReadAsByteArrayAsync(cancellationToken), response.Headers);
    }

    internal async Task<string> ClaimAsync(string sandboxId = "sbx_1", object? environment = null)
    {
        var (status, body) = await SendAsync(HttpMethod.Post, "/claim", new { sandboxId, environment = environment ?? new { } });
        return status == HttpStatusCode.OK ? body.GetProperty("sandboxId").GetString()! : Code(body);
    }

    internal Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(
        string id, string command, string? cwd = null, object? environment = null, long? timeoutMs = null) =>
        SendAsync(HttpMethod.Post, "/commands", new { id, command, cwd, environment, timeoutMs });

    /// <summary>Starts a command and returns its id.</summary>
    internal async Task<string> StartAsync(string command, string? cwd = null, object? environment = null, long? timeoutMs = null)
    {
        var id = NewId();
        var (status, body) = await PostAsync(id, command, cwd, environment, timeoutMs);
        Assert.True(status == HttpStatusCode.Created, $"{status} {body}");
        return id;
    }

    internal async Task<JsonElement> StateAsync(string id) => (await SendAsync(HttpMethod.Get, $"/commands/{id}")).Body;

    internal async Task CancelAsync(string id, string mode, long? graceMs = null)
    {
        var (status, body) = await SendAsync(HttpMethod.Post, $"/commands/{id}/cancel", new { mode, graceMs });
        Assert.True(status == HttpStatusCode.Accepted, $"{status} {body}");
    }

    internal Task<OutputReader> ReadAsync(string id, long from = 0) => OutputReader.OpenAsync(socket, id, from);

    /// <summary>Follows a command to its end, acknowledging everything, and deletes it.</summary>
    internal async Task<Outcome> FollowAsync(string id)
    {
        await using var reader = await ReadAsync(id);
        var outcome = await reader.ReadToEndAsync();
        var (status, body) = await SendAsync(HttpMethod.Delete, $"/commands/{id}");
        Assert.True(status == HttpStatusCode.NoContent, $"{status} {body}");
        return outcome;
    }

    internal async Task<Outcome> RunAsync(string command, string? cwd = null, object? environment = null, long? timeoutMs = null) =>
        await FollowAsync(await StartAsync(command, cwd, environment, timeoutMs));

    internal static string Code(JsonElement body) => body.GetProperty("error").GetProperty("code").GetString()!;
}
