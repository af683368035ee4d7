using System.Collections.Concurrent;
using CrowNest.Platform.Storage;
using Microsoft.Extensions.Logging;

namespace CrowNest.Api.Tests.Objects;

/// <summary>What a service has told.</summary>
internal sealed class EventLog<T> : ILogger<T>
{
    private readonly ConcurrentQueue<int> _events = new();

    public int Count(int eventId) => _events.Count(e => e == eventId);

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _events.Enqueue(eventId.Id);
}

/// <summary>A store that is away for its first lists.</summary>
internal sealed class FailingStore(IObjectStore inner, int failures) : IObjectStore
{
    private int _left = failures;

    public Task<ObjectDigest> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken) =>
        inner.PutAsync(key, content, length, cancellationToken);

    public Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken) =>
        inner.GetAsync(key, range, cancellationToken);

    public Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken) => inner.StatAsync(key, cancellationToken);

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);

    public Task<ObjectPage> ListAsync(
        string prefix, string? after, DateTimeOffset? olderThan, int limit, CancellationToken cancellationToken) =>
        Interlocked.Decrement(ref _left) >= 0
            ? Task.FromException<ObjectPage>(new ObjectStoreException("The store is away."))
            : inner.ListAsync(prefix, after, olderThan, limit, cancellationToken);
}
