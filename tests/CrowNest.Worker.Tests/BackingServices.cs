using System.Collections.Concurrent;
using CrowNest.Testing;
using CrowNest.Worker.Tests;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(BackingServices))]
// Every test has a node of its own and mostly waits for containers: more of them at once than there are processors.
[assembly: Parallelization(Mode = ParallelMode.All, MaxThreads = 4)]

namespace CrowNest.Worker.Tests;

/// <summary>What the nodes of all tests share: one Postgres, and the uids that template images know.</summary>
public sealed class BackingServices : IAsyncDisposable
{
    /// <summary>As many sandboxes as a node of a test may have.</summary>
    internal const int UidsPerNode = 50;

    private readonly ConcurrentQueue<int> _uidBases = new(Enumerable.Range(0, 20).Select(n => 700_000 + n * UidsPerNode));

    public PostgresFixture Postgres { get; } = new();

    /// <summary>The first of <see cref="UidsPerNode"/> uids that no other node has; limits of processes count by uid.</summary>
    internal int TakeUids() =>
        _uidBases.TryDequeue(out var first) ? first : throw new InvalidOperationException("More nodes at once than there are uids for.");

    internal void ReturnUids(int first) => _uidBases.Enqueue(first);

    public ValueTask DisposeAsync() => Postgres.DisposeAsync();
}
