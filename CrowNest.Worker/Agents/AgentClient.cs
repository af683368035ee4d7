using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace CrowNest.Worker.Agents;

/// <summary>
/// Speaks to the agent of one sandbox (docs/protocols.md 2): HTTP/1.1 over its unix socket, connections kept alive. The other side may be
/// hostile: answers are bounded in size and time, and whatever is not the protocol counts as a dead agent.
/// </summary>
/// <remarks>
/// Every method throws <see cref="AgentErrorException"/> for an error answer and <see cref="AgentUnavailableException"/> when there is no
/// agent to speak to.
/// </remarks>
internal sealed class AgentClient : IDisposable
{
    /// <summary>A list of 1000 commands is far smaller.</summary>
    private const int MaxAnswerBytes = 4 * 1024 * 1024;
    private const int MaxErrorBytes = 16 * 1024;

    private readonly string _socketPath;
    private readonly HttpClient _http;

    /// <param name="socketPath">Where the agent listens, as this process sees it.</param>
    public AgentClient(string socketPath)
    {
        ArgumentException.ThrowIfNullOrEmpty(socketPath);
        _socketPath = socketPath;
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
                new NetworkStream(await AgentSocket.ConnectAsync(socketPath, cancellationToken), ownsSocket: true),
            ConnectTimeout = TimeSpan.FromSeconds(2),
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
            MaxResponseHeadersLength = 16,
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ActivityHeadersPropagator = null,
        };
        _http = new HttpClient(handler)
        {
            BaseAddress = new Uri("http://agent"),
            MaxResponseContentBufferSize = MaxAnswerBytes,
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>How long an answer may take; an agent that is starved by its sandbox is given some time.</summary>
    internal TimeSpan AnswerTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Whether the agent answers, whose it is, and how many commands run.</summary>
    public Task<AgentHealth> GetHealthAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "/health", null, AgentJson.Default.AgentHealth, cancellationToken);

    /// <summary>Gives the agent its identity. Repeating it is harmless; another sandbox's is refused with <c>conflict</c>.</summary>
    public async Task ClaimAsync(string sandboxId, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        using var body = JsonContent.Create(new AgentClaim(sandboxId, environment), AgentJson.Default.AgentClaim);
        var claimed = await SendAsync(HttpMethod.Post, "/claim", body, AgentJson.Default.AgentClaimed, cancellationToken);
        if (claimed.SandboxId != sandboxId)
        {
            throw Broken("it claims to be another sandbox");
        }
    }

    /// <summary>Starts a command, or returns the state of the one with this id; answers when the shell has been executed.</summary>
    public async Task<AgentCommandState> StartCommandAsync(AgentStartCommand request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        using var body = JsonContent.Create(request, AgentJson.Default.AgentStartCommand);
        return Check(
            await SendAsync(HttpMethod.Post, "/commands", body, AgentJson.Default.AgentCommandState, cancellationToken), request.Id);
    }

    /// <summary>Every command the agent knows: running, and ended ones that were not deleted.</summary>
    public async Task<IReadOnlyList<AgentCommandState>> ListCommandsAsync(CancellationToken cancellationToken)
    {
        var list = await SendAsync(HttpMethod.Get, "/commands", null, AgentJson.Default.AgentCommandList, cancellationToken);
        return list.Commands ?? throw Broken("its list has no commands member");
    }

    /// <summary>Asks for the end of a command, which then arrives on the output connection.</summary>
    /// <param name="mode"><c>graceful</c> or <c>force</c>; force overtakes.</param>
    /// <param name="graceMs">Time between SIGTERM and SIGKILL; null: the agent's default.</param>
    public async Task<AgentCommandState> CancelAsync(string id, string mode, int? graceMs, CancellationToken cancellationToken)
    {
        using var body = JsonContent.Create(new AgentCancel(mode, graceMs), AgentJson.Default.AgentCancel);
        return Check(
            await SendAsync(
                HttpMethod.Post, $"/commands/{Uri.EscapeDataString(id)}/cancel", body, AgentJson.Default.AgentCommandState,
                cancellationToken),
            id);
    }

    /// <summary>Makes the agent forget an ended command; one that it does not know is forgotten already.</summary>
    public async Task DeleteCommandAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync<AgentHealth>(HttpMethod.Delete, $"/commands/{Uri.EscapeDataString(id)}", null, null, cancellationToken);
        }
        catch (AgentErrorException exception) when (exception.Status == (int)HttpStatusCode.NotFound)
        {
            // A repeated delete.
        }
    }

    /// <summary>Opens the output of a command; an earlier connection to it is replaced.</summary>
    /// <param name="from">Offset of the first byte wanted in the command's combined output.</param>
    public Task<AgentOutput> OpenOutputAsync(string id, long from, CancellationToken cancellationToken) =>
        AgentOutput.OpenAsync(_socketPath, id, from, AnswerTimeout, cancellationToken);

    /// <summary>
    /// Sends a request whose body or answer may be of any size (docs/protocols.md 2.4), and returns the head of its success. Disposing
    /// that before its end closes the connection.
    /// </summary>
    /// <param name="patience">What the answer's head may take is expected already.</param>
    public async Task<HttpResponseMessage> OpenAsync(HttpRequestMessage request, AgentTimeouts patience)
    {
        try
        {
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token);
            if (response.IsSuccessStatusCode)
            {
                return response;
            }

            using (response)
            {
                patience.Expect(AnswerTimeout);
                await response.Content.LoadIntoBufferAsync(MaxErrorBytes, patience.Token);
                throw ReadError(response, await response.Content.ReadAsByteArrayAsync(patience.Token));
            }
        }
        catch (HttpRequestException exception)
        {
            throw NoAnswer(exception);
        }
        catch (JsonException exception)
        {
            throw NotTheProtocol(exception);
        }
        catch (OperationCanceledException exception) when (patience.HasRunOut)
        {
            throw new AgentUnavailableException("The agent does not answer in time.", exception);
        }
    }

    public void Dispose() => _http.Dispose();

    private static AgentErrorException ReadError(HttpResponseMessage response, byte[] body)
    {
        var error = JsonSerializer.Deserialize(body, AgentJson.Default.AgentErrorAnswer)?.Error;
        return new AgentErrorException((int)response.StatusCode, error?.Code ?? "", error?.Message ?? "");
    }

    private static AgentUnavailableException NoAnswer(HttpRequestException exception) =>
        exception.InnerException as AgentUnavailableException ?? new AgentUnavailableException("The agent does not answer.", exception);

    private static AgentUnavailableException NotTheProtocol(JsonException exception) =>
        new("The agent's answer is not the protocol's.", exception) { BrokeProtocol = true };

    private static AgentUnavailableException Broken(string what) => new($"The agent breaks the protocol: {what}.") { BrokeProtocol = true };

    private static AgentCommandState Check(AgentCommandState state, string id) =>
        state.Id == id && state.State is "running" or "ended" ? state : throw Broken("it answers with another command");

    /// <param name="answer">null: an answer without a body.</param>
    private async Task<T> SendAsync<T>(
        HttpMethod method, string path, HttpContent? body, JsonTypeInfo<T>? answer, CancellationToken cancellationToken)
        where T : class
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(AnswerTimeout);
        try
        {
            using var request = new HttpRequestMessage(method, path) { Content = body };
            using var response = await _http.SendAsync(request, timeout.Token);
            var bytes = await response.Content.ReadAsByteArrayAsync(timeout.Token);
            if (!response.IsSuccessStatusCode)
            {
                throw ReadError(response, bytes);
            }

            return answer is null ? null! : JsonSerializer.Deserialize(bytes, answer) ?? throw Broken("it answers null");
        }
        catch (HttpRequestException exception)
        {
            throw NoAnswer(exception);
        }
        catch (JsonException exception)
        {
            throw NotTheProtocol(exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AgentUnavailableException($"The agent does not answer within {AnswerTimeout.TotalSeconds:0.#} s.", exception);
        }
    }
}
