using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Data;
using CrowNest.Platform.Fleet;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Fleet;

/// <summary>
/// The nodes' internal API (docs/protocols.md 3). Keep-alive HTTP/1.1; the framework adds <c>traceparent</c>. No call has a time limit of
/// its own but the caller's token: a command may run for hours.
/// </summary>
internal sealed class WorkerClient : IDisposable
{
    /// <summary>As the worker's <c>JsonSerializerOptions.Web</c>, without absent members.</summary>
    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly HttpClient _http;

    public WorkerClient(IOptions<DeploymentOptions> deployment, RequestIdForwarding forwarding)
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

    public void Dispose() => _http.Dispose();

    private async Task<T> PostAsync<T>(LiveWorker worker, string path, object? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(new Uri(worker.Url), path))
        {
            Content = body is null ? null : JsonContent.Create(body, body.GetType(), options: Json),
        };

        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw await ReadRefusalAsync(worker, response, cancellationToken);
            }

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

    private static async Task<Exception> ReadRefusalAsync(
        LiveWorker worker, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            var envelope = await response.Content.ReadFromJsonAsync<ErrorEnvelope>(CrowNestJson.Options, cancellationToken);
            if (envelope?.Error is { Code: { } code, Message: { } message })
            {
                return new WorkerRefusedException(code, message);
            }
        }
        catch (JsonException)
        {
            // Not an answer of our own, for example a proxy's page: the status is all there is to tell.
        }

        return new WorkerUnreachableException($"Node {worker.Id} answered with status {(int)response.StatusCode}.");
    }
}
