using System.Runtime.CompilerServices;
using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>Which runs to list (docs/reference/api.md 10.7).</summary>
public sealed record ListWorkspaceRunsOptions
{
    /// <summary>One of <see cref="WorkspaceRunStatus"/>.</summary>
    public string? Status { get; init; }

    public string? ProjectId { get; init; }

    /// <summary>Exact matches, all of which must hold.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Page size, 1 to 500; default 50.</summary>
    public int? Limit { get; init; }

    /// <summary><see cref="Page{T}.NextCursor"/> of the page before.</summary>
    public string? Cursor { get; init; }
}

/// <summary>
/// <c>/v1/workspace-runs</c> (docs/reference/api.md 10): an archive, a command, and durable evidence of what became of them.
/// </summary>
public sealed partial class WorkspaceRunsClient
{
    private const string Root = "v1/workspace-runs";
    private readonly Transport _transport;
    private readonly CrowNestClientOptions _options;

    internal WorkspaceRunsClient(Transport transport, CrowNestClientOptions options) => (_transport, _options) = (transport, options);

    /// <summary>Makes a run that awaits its archive.</summary>
    public async Task<WorkspaceRun> CreateAsync(
        CreateWorkspaceRunRequest request, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        (await _transport.SendAsync<WorkspaceRunResponse>(
            HttpMethod.Post, Root, request, IdempotencyKey.Or(idempotencyKey), cancellationToken)).WorkspaceRun;

    public async Task<WorkspaceRun> GetAsync(string runId, CancellationToken cancellationToken = default) =>
        (await _transport.GetAsync<WorkspaceRunResponse>(PathOf(runId), cancellationToken)).WorkspaceRun;

    /// <summary>One page, newest first.</summary>
    public Task<Page<WorkspaceRun>> ListAsync(ListWorkspaceRunsOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new ListWorkspaceRunsOptions();
        var query = new Query(Root)
            .Add("projectId", options.ProjectId)
            .Add("status", options.Status)
            .Add("limit", options.Limit)
            .Add("cursor", options.Cursor);
        foreach (var (key, value) in options.Metadata ?? new Dictionary<string, string>())
            query.Add($"metadata.{key}", value);
        return _transport.GetAsync<Page<WorkspaceRun>>(query.ToString(), cancellationToken);
    }

    /// <summary>Every match, page after page as the caller goes on.</summary>
    public async IAsyncEnumerable<WorkspaceRun> ListAllAsync(
        ListWorkspaceRunsOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ListWorkspaceRunsOptions();
        Page<WorkspaceRun> page;
        do
        {
            page = await ListAsync(options, cancellationToken);
            foreach (var run in page.Data)
                yield return run;
            options = options with { Cursor = page.NextCursor };
        }
        while (page.HasMore && page.NextCursor is not null);
    }

    /// <summary>Starts a run whose archive is there; it goes on by itself.</summary>
    public Task<WorkspaceRun> StartAsync(string runId, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        PostAsync(runId, "start", idempotencyKey, cancellationToken);

    /// <summary>Cancels a run; one that is final is returned unchanged.</summary>
    public Task<WorkspaceRun> CancelAsync(string runId, string? idempotencyKey = null, CancellationToken cancellationToken = default) =>
        PostAsync(runId, "cancel", idempotencyKey, cancellationToken);

    /// <summary>Events after a sequence number, oldest first.</summary>
    public Task<SeqPage<WorkspaceRunEvent>> EventsAsync(
        string runId, long? afterSeq = null, int? limit = null, CancellationToken cancellationToken = default) =>
        _transport.GetAsync<SeqPage<WorkspaceRunEvent>>(
            new Query(PathOf(runId) + "/events").Add("afterSeq", afterSeq).Add("limit", limit).ToString(), cancellationToken);

    /// <summary>
    /// Events as they happen, up to and including <c>terminal</c>, each once and in order. Continues after a broken connection unless told
    /// otherwise; heartbeats are not delivered.
    /// </summary>
    public IAsyncEnumerable<WorkspaceRunEvent> StreamAsync(
        string runId, EventStreamOptions? options = null, CancellationToken cancellationToken = default)
    {
        var path = PathOf(runId) + "/events";
        return new EventStream<WorkspaceRunEvent>(
            _transport, _options, afterSeq => new Query(path).Add("afterSeq", afterSeq).Add("stream", "true").ToString(),
            e => new StreamedEvent(
                e.Seq, e.Type == WorkspaceRunEventType.Heartbeat,
                e.Type is WorkspaceRunEventType.Terminal or WorkspaceRunEventType.Error))
            .ReadAsync(options ?? new EventStreamOptions(), cancellationToken);
    }

    /// <summary>What a final run leaves as its proof; there before its <c>terminal</c> event is.</summary>
    public async Task<WorkspaceRunEvidence> GetEvidenceAsync(string runId, CancellationToken cancellationToken = default) =>
        (await _transport.GetAsync<WorkspaceRunEvidenceResponse>(PathOf(runId) + "/evidence", cancellationToken)).Evidence;

    /// <summary>The same as compact JWS, signed by the deployment; verifiable with <c>/.well-known/jwks.json</c>.</summary>
    public async Task<string> GetSignedEvidenceAsync(string runId, CancellationToken cancellationToken = default)
    {
        using var response = await _transport.OpenAsync(PathOf(runId) + "/evidence?format=jws", "application/jose", cancellationToken);
        return await response.Content.ReadAsStringAsync(cancellationToken);
    }

    private async Task<WorkspaceRun> PostAsync(string runId, string action, string? idempotencyKey, CancellationToken cancellationToken) =>
        (await _transport.SendAsync<WorkspaceRunResponse>(
            HttpMethod.Post, $"{PathOf(runId)}/{action}", body: null, IdempotencyKey.Or(idempotencyKey), cancellationToken)).WorkspaceRun;

    private static string PathOf(string runId) => $"{Root}/{Transport.Segment(runId, Ids.WorkspaceRun)}";
}
