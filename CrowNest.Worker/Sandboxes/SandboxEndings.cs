using System.Collections.Concurrent;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Containers;

namespace CrowNest.Worker.Sandboxes;

/// <summary>
/// Ends sandboxes: container, row, and then everyone who waits for it. One end per sandbox at a time, a bounded number at once; whatever
/// fails on the way is tried again by sweep and reaper.
/// </summary>
internal sealed partial class SandboxEndings(
    SandboxStore sandboxes, LiveSandboxes live, SandboxContainers containers, EngineClient engine, TimeProvider time,
    ILogger<SandboxEndings> logger) : IDisposable
{
    private const int AtOnce = 8;
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _places = new(AtOnce);
    private readonly ConcurrentDictionary<string, Lazy<Task>> _ending = new();

    /// <summary>Ends the container of an <c>expiring</c> sandbox and makes the row <c>destroyed</c>: nothing of it runs any more.</summary>
    public Task DestroyAsync(string id) => RunAsync(id, () => DestroyOnceAsync(id));

    /// <summary>
    /// Makes the row <c>failed</c> and removes what is left of the container; an <c>expiring</c> row becomes <c>destroyed</c>.
    /// </summary>
    /// <param name="message">For people; no host path.</param>
    public Task FailAsync(string id, string message) => RunAsync(id, () => FailOnceAsync(id, message));

    public bool IsEnding(string id) => _ending.ContainsKey(id);

    public void Dispose() => _places.Dispose();

    /// <summary>Joins the end that is under way. After a failure the sandbox is left alone for a moment.</summary>
    private Task RunAsync(string id, Func<Task> end)
    {
        var task = _ending.GetOrAdd(id, _ => new(() => RunOnceAsync(id, end)));
        return task.Value;
    }

    private async Task RunOnceAsync(string id, Func<Task> end)
    {
        // Off the caller's stack: the entry must be in place before this can end.
        await Task.Yield();
        await _places.WaitAsync();
        try
        {
            await end();
            _ending.TryRemove(id, out _);
        }
        catch (Exception exception)
        {
            LogFailed(exception, id);
            _ = ForgetLaterAsync(id);
            throw;
        }
        finally
        {
            _places.Release();
        }
    }

    private async Task ForgetLaterAsync(string id)
    {
        await Task.Delay(RetryPause, time);
        _ending.TryRemove(id, out _);
    }

    private async Task DestroyOnceAsync(string id)
    {
        await EndContainerAsync(id);
        var row = await sandboxes.FindAsync(id, CancellationToken.None);
        if (await sandboxes.MarkDestroyedAsync(id, time.GetUtcNow(), CancellationToken.None))
        {
            LogEnded(id, row?.DestroyedReason ?? SandboxStatus.Destroyed);
            WorkerTelemetry.SandboxesEnded.Add(1, new KeyValuePair<string, object?>("reason", row?.DestroyedReason));
        }

        live.Remove(id);
    }

    private async Task FailOnceAsync(string id, string message)
    {
        if (await sandboxes.MarkFailedAsync(id, message, time.GetUtcNow(), CancellationToken.None))
        {
            LogLost(id, message);
            WorkerTelemetry.SandboxesEnded.Add(1, new KeyValuePair<string, object?>("reason", SandboxStatus.Failed));
            await EndContainerAsync(id);
            live.Remove(id);
        }
        else
        {
            await DestroyOnceAsync(id);
        }
    }

    private async Task EndContainerAsync(string id)
    {
        if (live.TryGet(id, out var sandbox))
        {
            if (containers.TryGet(sandbox.ContainerId, out var container))
            {
                await containers.EndAsync(container);
            }
        }
        else if (await sandboxes.FindAsync(id, CancellationToken.None) is { ContainerId: { } containerId })
        {
            // Of an earlier start of this worker, and never adopted.
            await engine.RemoveContainerAsync(containerId, CancellationToken.None);
        }
    }

    [LoggerMessage(5131, LogLevel.Information, "Sandbox {SandboxId} is destroyed: {Reason}")]
    private partial void LogEnded(string sandboxId, string reason);

    [LoggerMessage(5132, LogLevel.Warning, "Sandbox {SandboxId} is lost: {Reason}")]
    private partial void LogLost(string sandboxId, string reason);

    [LoggerMessage(5133, LogLevel.Error, "The end of sandbox {SandboxId} failed and is tried again")]
    private partial void LogFailed(Exception exception, string sandboxId);
}
