using System.Runtime.CompilerServices;
using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>Which sandboxes to list (docs/reference/api.md 4.4).</summary>
public sealed record ListSandboxesOptions
{
    /// <summary>Also destroyed and failed ones; by default only live ones.</summary>
    public bool IncludeHistorical { get; init; }

    /// <summary>One of <see cref="SandboxStatus"/>.</summary>
    public string? Status { get; init; }

    public string? ProjectId { get; init; }

    /// <summary>Exact matches, all of which must hold.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Page size, 1 to 500; default 50.</summary>
    public int? Limit { get; init; }

    /// <summary><see cref="Page{T}.NextCursor"/> of the page before.</summary>
    public string? Cursor { get; init; }
}

/// <summary><c>/v1/sandboxes</c> (docs/reference/api.md 4).</summary>
public sealed class SandboxesClient
{
    private const string Root = "v1/sandboxes";
    private readonly Transport _transport;

    internal SandboxesClient(Transport transport) => _transport = transport;

    /// <summary>Creates a sandbox and waits until it is usable. A key is made up unless one is given.</summary>
    public async Task<Sandbox> CreateAsync(
        CreateSandboxRequest? request = null, string? idempotencyKey = null, CancellationToken cancellationToken = default)
    {
        var answer = await _transport.SendAsync<SandboxResponse>(
            HttpMethod.Post, Root, request ?? new CreateSandboxRequest(), IdempotencyKey.Or(idempotencyKey), cancellationToken);
        return answer.Sandbox;
    }

    /// <summary>Also answers for destroyed and failed sandboxes.</summary>
    public async Task<Sandbox> GetAsync(string sandboxId, CancellationToken cancellationToken = default) =>
        (await _transport.GetAsync<SandboxResponse>(PathOf(sandboxId), cancellationToken)).Sandbox;

    /// <summary>One page, newest first.</summary>
    public Task<Page<Sandbox>> ListAsync(ListSandboxesOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new ListSandboxesOptions();
        var query = new Query(Root)
            .Add("include", options.IncludeHistorical ? "historical" : null)
            .Add("status", options.Status)
            .Add("projectId", options.ProjectId)
            .Add("limit", options.Limit)
            .Add("cursor", options.Cursor);
        foreach (var (key, value) in options.Metadata ?? new Dictionary<string, string>())
            query.Add($"metadata.{key}", value);
        return _transport.GetAsync<Page<Sandbox>>(query.ToString(), cancellationToken);
    }

    /// <summary>Every match, page after page as the caller goes on.</summary>
    public async IAsyncEnumerable<Sandbox> ListAllAsync(
        ListSandboxesOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ListSandboxesOptions();
        Page<Sandbox> page;
        do
        {
            page = await ListAsync(options, cancellationToken);
            foreach (var sandbox in page.Data)
                yield return sandbox;
            options = options with { Cursor = page.NextCursor };
        }
        while (page.HasMore && page.NextCursor is not null);
    }

    /// <summary>Sets the deadline to now plus <paramref name="ttl"/>; it may also shorten.</summary>
    public async Task<Sandbox> ExtendAsync(
        string sandboxId, TimeSpan ttl, string? idempotencyKey = null, CancellationToken cancellationToken = default)
    {
        var answer = await _transport.SendAsync<SandboxResponse>(
            HttpMethod.Post,
            PathOf(sandboxId) + "/extend",
            new ExtendSandboxRequest((long)ttl.TotalMilliseconds),
            IdempotencyKey.Or(idempotencyKey),
            cancellationToken);
        return answer.Sandbox;
    }

    /// <summary>Destroys it and answers when that is done; one that is gone already is returned unchanged.</summary>
    public async Task<Sandbox> KillAsync(string sandboxId, CancellationToken cancellationToken = default)
    {
        var answer = await _transport.SendAsync<SandboxResponse>(
            HttpMethod.Delete, PathOf(sandboxId), body: null, idempotencyKey: null, cancellationToken);
        return answer.Sandbox;
    }

    internal static string PathOf(string sandboxId) => $"{Root}/{Transport.Segment(sandboxId, Ids.Sandbox)}";
}

internal static class IdempotencyKey
{
    public static string Or(string? given) => given ?? Guid.NewGuid().ToString();
}
