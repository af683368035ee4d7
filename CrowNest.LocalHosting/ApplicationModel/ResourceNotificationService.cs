namespace Aspire.Hosting.ApplicationModel;

/// <summary>What a resource can be doing.</summary>
public static class KnownResourceStates
{
    /// <summary>Waits to be started explicitly.</summary>
    public const string NotStarted = nameof(NotStarted);

    /// <summary>Waits for other resources.</summary>
    public const string Waiting = nameof(Waiting);

    /// <summary>Is being started, or waits for its next start after it died.</summary>
    public const string Starting = nameof(Starting);

    /// <summary>The process runs.</summary>
    public const string Running = nameof(Running);

    /// <summary>The process was asked to stop.</summary>
    public const string Stopping = nameof(Stopping);

    /// <summary>Stopped on request, or exited with an error and stays so.</summary>
    public const string Exited = nameof(Exited);

    /// <summary>Did its work and exited with 0.</summary>
    public const string Finished = nameof(Finished);

    /// <summary>Will never run in this application.</summary>
    public const string FailedToStart = nameof(FailedToStart);

    internal static bool IsFinal(string state) => state is Finished or FailedToStart or Exited;
}

/// <summary>What one resource is doing at a moment.</summary>
/// <param name="State">One of <see cref="KnownResourceStates"/>.</param>
/// <param name="IsHealthy">Running, and its health check (if it has one) passes.</param>
/// <param name="ProcessId">The process while there is one.</param>
/// <param name="ExitCode">Of the last process that ended.</param>
/// <param name="Starts">How many processes have been started so far.</param>
public sealed record ResourceSnapshot(string State, bool IsHealthy = false, int? ProcessId = null, int? ExitCode = null, int Starts = 0);

/// <summary>Tells what the resources are doing.</summary>
public sealed class ResourceNotificationService
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ResourceSnapshot> _snapshots = new(StringComparer.OrdinalIgnoreCase);
    private TaskCompletionSource _changed = NewSignal();

    /// <summary>What the resource is doing now.</summary>
    /// <exception cref="DistributedApplicationException">There is no such resource.</exception>
    public ResourceSnapshot Get(string resourceName)
    {
        lock (_lock)
            return Find(resourceName);
    }

    /// <summary>Waits until a resource runs and is healthy.</summary>
    /// <exception cref="DistributedApplicationException">There is no such resource, or it will not become healthy any more.</exception>
    public async Task WaitForResourceHealthyAsync(string resourceName, CancellationToken cancellationToken = default)
    {
        var snapshot = await WaitForResourceAsync(
            resourceName, current => current.IsHealthy || KnownResourceStates.IsFinal(current.State), cancellationToken);
        if (!snapshot.IsHealthy)
            throw new DistributedApplicationException($"Resource `{resourceName}` is {snapshot.State} (exit code {snapshot.ExitCode}).");
    }

    /// <summary>Waits until a resource is in a state.</summary>
    public Task WaitForResourceAsync(string resourceName, string targetState, CancellationToken cancellationToken = default) =>
        WaitForResourceAsync(resourceName, current => current.State == targetState, cancellationToken);

    /// <summary>Waits until what a resource is doing satisfies a condition, and returns it.</summary>
    public async Task<ResourceSnapshot> WaitForResourceAsync(
        string resourceName, Func<ResourceSnapshot, bool> condition, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(condition);
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                var current = Find(resourceName);
                if (condition(current))
                    return current;
                changed = _changed.Task;
            }
            await changed.WaitAsync(cancellationToken);
        }
    }

    internal void Publish(string resourceName, ResourceSnapshot snapshot)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            _snapshots[resourceName] = snapshot;
            (changed, _changed) = (_changed, NewSignal());
        }
        changed.SetResult();
    }

    internal void Update(string resourceName, Func<ResourceSnapshot, ResourceSnapshot> change)
    {
        lock (_lock)
            Publish(resourceName, change(Find(resourceName)));
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ResourceSnapshot Find(string resourceName) => _snapshots.GetValueOrDefault(resourceName)
        ?? throw new DistributedApplicationException($"There is no started resource named `{resourceName}`.");
}
