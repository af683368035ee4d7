using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization;
using CrowNest.Api.Files;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Nodes;

/// <summary>
/// The nodes' internal API (docs/protocols.md 3). Keep-alive HTTP/1.1; the framework adds <c>traceparent</c>. No call has a time limit of
/// its own but the caller's token: a command may run for hours.
/// </summary>
internal sealed class NodeClient : IDisposable
{
    /// <summary>As the worker's <c>JsonSerializerOptions.Web</c>, without absent members.</summary>
    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly HttpClient _http;

    public NodeClient(IOptions<ApiDeploymentOptions> deployment, RequestIdForwarding forwarding)
    {
        forwarding.InnerHandler = new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(2),
            // Shorter than Kestrel's keep-alive, so that we and not the node close an idle connection.
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
            UseProxy = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
        };
        _http = new HttpClient(forwarding) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", deployment.Value.DeploymentSecret);
    }

    /// <summary>Makes the sandbox of a <c>creating</c> row; returns when it is <c>ready</c>.</summary>
    public Task<SandboxStarted> StartSandboxAsync(LiveWorker worker, StartSandbox start, CancellationToken cancellationToken) =>
        PostAsync<SandboxStarted>(worker, "/internal/sandboxes", start, cancellationToken);

    /// <summary>Has the node do at once what is due for one sandbox; returns its state afterwards.</summary>
    public async Task<string> ReconcileAsync(LiveWorker worker, string sandboxId, CancellationToken cancellationToken) =>
        (await PostAsync<SandboxReconciled>(worker, $"/internal/sandboxes/{sandboxId}/reconcile", null, cancellationToken)).State;

    /// <summary>Starts a <c>queued</c> command, and waits for its end as long as <c>WaitMs</c> says.</summary>
    public async Task<CommandRow> StartCommandAsync(LiveWorker worker, StartCommand start, CancellationToken cancellationToken) =>
        (await PostAsync<CommandOutcome>(worker, "/internal/commands", start, cancellationToken)).Command;

    /// <summary>Cancels a command; returns its final row.</summary>
    public async Task<CommandRow> CancelCommandAsync(
        LiveWorker worker, string commandId, string mode, CancellationToken cancellationToken) =>
        (await PostAsync<CommandOutcome>(
            worker, $"/internal/commands/{commandId}/cancel", new CancelCommand(mode), cancellationToken)).Command;

    /// <summary>Exports a file as the artifact of a <c>storing</c> row; returns the stored row.</summary>
    public Task<ArtifactRow> StoreArtifactAsync(
        LiveWorker worker, string sandboxId, StoreArtifact export, CancellationToken cancellationToken) =>
        PostAsync<ArtifactRow>(worker, $"/internal/sandboxes/{sandboxId}/artifacts", export, cancellationToken);

    /// <summary>Brings an object into a sandbox.</summary>
    public Task<AgentFile> ImportAsync(LiveWorker worker, string sandboxId, ImportObject import, CancellationToken cancellationToken) =>
        PostAsync<AgentFile>(worker, $"/internal/sandboxes/{sandboxId}/imports", import, cancellationToken);

    /// <summary>A request about a sandbox's files (docs/protocols.md 2.4) whose answer is read as JSON.</summary>
    /// <param name="route">What follows <c>/files</c>, with its query.</param>
    public Task<T> AskFilesAsync<T>(
        LiveWorker worker, string sandboxId, HttpMethod method, string route, HttpContent? body, CancellationToken cancellationToken) =>
        ReadAsync<T>(worker, method, FilesPath(sandboxId, route), body, cancellationToken);

    /// <summary>The same whose answer is read as a stream: returns once its headers are there; the caller disposes it.</summary>
    public Task<HttpResponseMessage> OpenFilesAsync(
        LiveWorker worker, string sandboxId, HttpMethod method, string route, CancellationToken cancellationToken) =>
        SendAsync(worker, method, FilesPath(sandboxId, route), body: null, cancellationToken);

    /// <summary>A JSON body as the nodes read it.</summary>
    public static HttpContent ToContent(object body) => JsonContent.Create(body, body.GetType(), options: Json);

    public void Dispose() => _http.Dispose();

    private static string FilesPath(string sandboxId, string route) => $"/internal/sandboxes/{sandboxId}/files{route}";

    private Task<T> PostAsync<T>(LiveWorker worker, string path, object? body, CancellationToken cancellationToken) =>
        ReadAsync<T>(worker, HttpMethod.Post, path, body is null ? null : ToContent(body), cancellationToken);

    private async Task<T> ReadAsync<T>(
        LiveWorker worker, HttpMethod method, string path, HttpContent? body, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(worker, method, path, body, cancellationToken);
        try
        {
            return await response.Content.ReadFromJsonAsync<T>(Json, cancellationToken)
                ?? throw new WorkerUnreachableException($"Node {worker.Id} answered without a body.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new WorkerUnreachableException($"Node {worker.Id} does not answer.", e);
        }
        catch (JsonException e)
        {
            throw new WorkerUnreachableException($"Node {worker.Id} answered with something that is not of this release.", e);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(
        LiveWorker worker, HttpMethod method, string path, HttpContent? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, new Uri(new Uri(worker.Url), path)) { Content = body };
        // What the node refuses without looking at a stream is then heard before any of it is sent.
        request.Headers.ExpectContinue = body is UploadContent;
        try
        {
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.IsSuccessStatusCode)
            {
                return response;
            }

            using (response)
            {
                throw await ReadRefusalAsync(worker, response, cancellationToken);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new WorkerUnreachableException($"Node {worker.Id} does not answer.", e);
        }
    }

    private static async Task<Exception> ReadRefusalAsync(
        LiveWorker worker, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            var envelope = await response.Content.ReadFromJsonAsync<ErrorEnvelope>(CrowNestJson.Options, cancellationToken);
            if (envelope?.Error is { Code: { } code, Message: { } message } error)
            {
                return new WorkerRefusedException(code, message, error.Details);
            }
        }
        catch (JsonException)
        {
            // Not an answer of our own, for example a proxy's page: the status is all there is to tell.
        }

        return new WorkerUnreachableException($"Node {worker.Id} answered with status {(int)response.StatusCode}.");
    }
}
