using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Runtime;

/// <summary>
/// The parts of the Docker Engine API that a node needs, over the engine's unix socket (docs/decisions/engine-client.md). Every call
/// throws <see cref="EngineException"/> with the engine's own words when it refuses, and when it does not answer.
/// </summary>
internal sealed class EngineClient : IDisposable
{
    /// <summary>What this client is written for; older engines are refused, newer ones asked for at least their oldest version.</summary>
    private static readonly Version WrittenFor = new(1, 41);

    /// <summary>A start under load takes seconds; anything longer is a hang.</summary>
    private static readonly TimeSpan CallLimit = TimeSpan.FromMinutes(2);

    private static readonly JsonSerializerOptions Json = new()
    {
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly string _socketPath;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _negotiation = new(1);
    private string? _prefix;

    public EngineClient(IOptions<WorkerOptions> options)
    {
        _socketPath = options.Value.EngineSocket;
        _http = new HttpClient(new SocketsHttpHandler { ConnectCallback = ConnectAsync, UseProxy = false })
        {
            BaseAddress = new Uri("http://engine/"),
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>The engine answers at all.</summary>
    public async Task PingAsync(CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, "/_ping", null, cancellationToken);
    }

    public async Task<EngineVersion> GetVersionAsync(CancellationToken cancellationToken) =>
        await ReadAsync<EngineVersion>("/version", cancellationToken);

    public async Task<EngineInfo> GetInfoAsync(CancellationToken cancellationToken) =>
        await ReadAsync<EngineInfo>($"{await PrefixAsync(cancellationToken)}/info", cancellationToken);

    /// <summary>Images that have <paramref name="label"/> (<c>name</c> or <c>name=value</c>).</summary>
    public async Task<IReadOnlyList<EngineImage>> ListImagesAsync(string label, CancellationToken cancellationToken) =>
        await ReadAsync<List<EngineImage>>(
            $"{await PrefixAsync(cancellationToken)}/images/json?filters={LabelFilter(label)}", cancellationToken);

    /// <summary>Containers in every state that have <paramref name="label"/>.</summary>
    public async Task<IReadOnlyList<EngineContainer>> ListContainersAsync(string label, CancellationToken cancellationToken) =>
        await ReadAsync<List<EngineContainer>>(
            $"{await PrefixAsync(cancellationToken)}/containers/json?all=true&filters={LabelFilter(label)}", cancellationToken);

    public async Task<ContainerCreated> CreateContainerAsync(string name, ContainerSpec spec, CancellationToken cancellationToken)
    {
        var path = $"{await PrefixAsync(cancellationToken)}/containers/create?name={Uri.EscapeDataString(name)}";
        using var response = await SendAsync(HttpMethod.Post, path, JsonContent.Create(spec, options: Json), cancellationToken);
        return (await response.Content.ReadFromJsonAsync<ContainerCreated>(Json, cancellationToken))!;
    }

    public async Task StartContainerAsync(string id, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(
            HttpMethod.Post, $"{await PrefixAsync(cancellationToken)}/containers/{id}/start", null, cancellationToken);
    }

    /// <summary>null when there is no such container.</summary>
    public async Task<EngineContainerDetails?> FindContainerAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            return await ReadAsync<EngineContainerDetails>(
                $"{await PrefixAsync(cancellationToken)}/containers/{id}/json", cancellationToken);
        }
        catch (EngineException exception) when (exception.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    /// <summary>SIGKILL to every process of the container; nothing happens when it does not run or does not exist.</summary>
    public async Task KillContainerAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await SendAsync(
                HttpMethod.Post, $"{await PrefixAsync(cancellationToken)}/containers/{id}/kill", null, cancellationToken);
        }
        catch (EngineException exception) when (exception.Status is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // Already ended.
        }
    }

    /// <summary>Kills and removes; returns when it is gone, also when it was gone before or someone else is removing it.</summary>
    public async Task RemoveContainerAsync(string id, CancellationToken cancellationToken)
    {
        var path = $"{await PrefixAsync(cancellationToken)}/containers/{id}";
        try
        {
            using var response = await SendAsync(HttpMethod.Delete, $"{path}?force=true&v=true", null, cancellationToken);
        }
        catch (EngineException exception) when (exception.Status == HttpStatusCode.NotFound)
        {
            // The wish of the caller is fulfilled.
        }
        catch (EngineException exception) when (exception.Status == HttpStatusCode.Conflict)
        {
            // "removal of container … is already in progress"
            try
            {
                using var response = await SendAsync(HttpMethod.Post, $"{path}/wait?condition=removed", null, cancellationToken);
            }
            catch (EngineException gone) when (gone.Status == HttpStatusCode.NotFound)
            {
                // Removed meanwhile.
            }
        }
    }

    /// <summary>
    /// Events of containers with <paramref name="label"/>: their end (<c>die</c>), <c>oom</c> and <c>destroy</c>. Ends with an
    /// <see cref="EngineException"/> when the engine goes away.
    /// </summary>
    /// <param name="connected">Runs when the engine has begun to answer: what happens from then on is reported.</param>
    public async IAsyncEnumerable<EngineEvent> WatchContainersAsync(
        string label, Func<Task> connected, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var filter = JsonSerializer.Serialize(new Dictionary<string, string[]>
        {
            ["type"] = ["container"],
            ["label"] = [label],
            ["event"] = ["die", "oom", "destroy"],
        });
        var path = $"{await PrefixAsync(cancellationToken)}/events?filters={Uri.EscapeDataString(filter)}";
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = await OpenAsync(request, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var reader = new StreamReader(body);
        await connected();
        while (await ReadLineAsync(reader, cancellationToken) is { } line)
        {
            yield return JsonSerializer.Deserialize<EngineEvent>(line, Json)!;
        }

        throw new EngineException("The container engine closed its stream of events.", null);
    }

    public void Dispose()
    {
        _http.Dispose();
        _negotiation.Dispose();
    }

    private static string LabelFilter(string label) =>
        Uri.EscapeDataString(JsonSerializer.Serialize(new Dictionary<string, string[]> { ["label"] = [label] }));

    private async Task<string> PrefixAsync(CancellationToken cancellationToken)
    {
        if (_prefix is { } known)
        {
            return known;
        }

        await _negotiation.WaitAsync(cancellationToken);
        try
        {
            return _prefix ??= Negotiate(await GetVersionAsync(cancellationToken));
        }
        finally
        {
            _negotiation.Release();
        }
    }

    private static string Negotiate(EngineVersion engine)
    {
        if (Version.Parse(engine.ApiVersion) < WrittenFor)
        {
            throw new EngineException(
                $"The container engine {engine.Version} speaks API {engine.ApiVersion}; {WrittenFor} (Docker 20.10) or newer is needed.",
                null);
        }

        var version = engine.MinAPIVersion is { } oldest && Version.Parse(oldest) > WrittenFor ? Version.Parse(oldest) : WrittenFor;
        return $"/v{version}";
    }

    private async Task<T> ReadAsync<T>(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, path, null, cancellationToken);
        return (await response.Content.ReadFromJsonAsync<T>(Json, cancellationToken))!;
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CallLimit);
        try
        {
            var response = await OpenAsync(request, limit.Token);
            await response.Content.LoadIntoBufferAsync(limit.Token);
            return response;
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EngineException(
                $"The container engine did not answer {method} {path} within {CallLimit.TotalSeconds} s.", null, exception);
        }
    }

    private async Task<HttpResponseMessage> OpenAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (HttpRequestException exception)
        {
            // The system's own message for a missing socket speaks of addresses.
            var why = Path.Exists(_socketPath) ? exception.InnerException?.Message ?? exception.Message : "there is no such socket";
            throw new EngineException($"The container engine does not answer at {_socketPath}: {why}", null, exception);
        }

        // 304: a start or stop of what is already started or stopped.
        if (response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.NotModified)
        {
            return response;
        }

        using (response)
        {
            throw new EngineException(await ReadErrorAsync(response, cancellationToken), response.StatusCode);
        }
    }

    private static async Task<string> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var text = await response.Content.ReadAsStringAsync(cancellationToken);
        try
        {
            using var body = JsonDocument.Parse(text);
            return body.RootElement.GetProperty("message").GetString() ?? text;
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return $"{(int)response.StatusCode} {text}".TrimEnd();
        }
    }

    private static async Task<string?> ReadLineAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadLineAsync(cancellationToken);
        }
        catch (IOException exception)
        {
            throw new EngineException($"The container engine broke its stream of events: {exception.Message}", null, exception);
        }
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_socketPath), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
