using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary><c>/v1/sandboxes/{id}/commands</c> and <c>/v1/commands</c> (docs/reference/api.md 5).</summary>
public sealed class CommandsClient
{
    private readonly Transport _transport;
    private readonly CrowNestClientOptions _options;

    internal CommandsClient(Transport transport, CrowNestClientOptions options)
    {
        _transport = transport;
        _options = options;
    }

    /// <summary>Runs a shell line and answers when it is final. A non-zero exit code is not an error.</summary>
    public Task<Command> RunAsync(
        string sandboxId, RunCommandRequest request, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        PostAsync(OfSandbox(sandboxId) + "/run", request, IdempotencyKey.Or(idempotencyKey), cancellationToken);

    /// <summary>Starts a shell line and answers at once; follow it with <see cref="StreamAsync"/>.</summary>
    public Task<Command> StartAsync(
        string sandboxId, RunCommandRequest request, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        PostAsync(OfSandbox(sandboxId) + "/start", request, IdempotencyKey.Or(idempotencyKey), cancellationToken);

    public async Task<Command> GetAsync(string commandId, CancellationToken cancellationToken = default) =>
        (await _transport.GetAsync<CommandResponse>(PathOf(commandId), cancellationToken)).Command;

    /// <summary>One page of a sandbox's commands, newest first.</summary>
    public Task<Page<Command>> ListAsync(
        string sandboxId, int? limit = null, string? cursor = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<Page<Command>>(
            new Query(OfSandbox(sandboxId)).Add("limit", limit).Add("cursor", cursor).ToString(), cancellationToken);

    /// <summary>Ends a command and answers when it is gone; a final one is returned unchanged.</summary>
    /// <param name="mode">One of <see cref="CancelMode"/>; default graceful.</param>
    public Task<Command> CancelAsync(string commandId, string? mode = null, CancellationToken cancellationToken = default) =>
        PostAsync(PathOf(commandId) + "/cancel", new CancelCommandRequest(mode), idempotencyKey: null, cancellationToken);

    /// <summary>Retained output after a sequence number.</summary>
    public Task<SeqPage<CommandLogChunk>> LogsAsync(
        string commandId, long? afterSeq = null, int? limit = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<SeqPage<CommandLogChunk>>(
            new Query(PathOf(commandId) + "/logs").Add("afterSeq", afterSeq).Add("limit", limit).ToString(), cancellationToken);

    /// <summary>
    /// Output as it is written, up to and including the <c>terminal</c> or <c>error</c> event, each chunk once and in order. Continues
    /// after a broken connection unless told otherwise; heartbeats are not delivered.
    /// </summary>
    public IAsyncEnumerable<CommandStreamEvent> StreamAsync(
        string commandId, CommandStreamOptions? options = null, CancellationToken cancellationToken = default) =>
        CommandStream.Of(_transport, _options, PathOf(commandId)).ReadAsync(options ?? new CommandStreamOptions(), cancellationToken);

    /// <summary>A link to the whole retained output as text, valid on its own for a limited time.</summary>
    public Task<DownloadUrl> GetLogDownloadUrlAsync(string commandId, CancellationToken cancellationToken = default) =>
        _transport.SendAsync<DownloadUrl>(
            HttpMethod.Post, PathOf(commandId) + "/logs/download-url", body: null, idempotencyKey: null, cancellationToken);

    /// <summary>The whole retained output as UTF-8 text; the caller disposes the stream.</summary>
    public async Task<Stream> OpenLogAsync(string commandId, CancellationToken cancellationToken = default)
    {
        var response = await _transport.OpenAsync(PathOf(commandId) + "/logs/download", "text/plain", cancellationToken);
        return await response.Content.ReadAsStreamAsync(cancellationToken);
    }

    private async Task<Command> PostAsync(string path, object body, string? idempotencyKey, CancellationToken cancellationToken) =>
        (await _transport.SendAsync<CommandResponse>(HttpMethod.Post, path, body, idempotencyKey, cancellationToken)).Command;

    private static string OfSandbox(string sandboxId) => SandboxesClient.PathOf(sandboxId) + "/commands";

    private static string PathOf(string commandId) => $"v1/commands/{Transport.Segment(commandId, Ids.Command)}";
}
