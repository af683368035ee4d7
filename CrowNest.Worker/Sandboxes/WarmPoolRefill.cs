using System.Collections.Concurrent;
using CrowNest.Worker.Containers;
using CrowNest.Worker.Templates;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Sandboxes;

/// <summary>Keeps the warm pool of every template's newest version at its size.</summary>
internal sealed partial class WarmPoolRefill(
    WarmPool pool, TemplateImages templates, SandboxContainers containers, SandboxSpec spec, CreationGate gate,
    IOptions<WorkerOptions> options, TimeProvider time, ILogger<WarmPoolRefill> logger) : BackgroundService
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Making a container keeps a core busy for a third of a second, which whoever claims the next one would feel: while claims come in
    /// quick succession the stock may sink to half.
    /// </summary>
    private static readonly TimeSpan ClaimPause = TimeSpan.FromMilliseconds(150);
    private const double LowStock = 0.5;

    private readonly Dictionary<string, int> _making = [];
    private readonly ConcurrentDictionary<int, Task> _tasks = new();
    private readonly Lock _lock = new();
    private int _failures;
    private long _pausedUntilTicks;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            await TrimAsync();
            StartDue(stoppingToken);
            await pool.WaitForDemandAsync(pool.Quiet < ClaimPause ? ClaimPause : LookInterval, stoppingToken);
        }
    }

    /// <summary>What is half made is taken apart before the worker ends.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await Task.WhenAll(_tasks.Values).WaitAsync(cancellationToken);
    }

    private (TemplateImage Image, string Fingerprint)[] Wanted() =>
    [
        .. templates.Latest.Where(image => options.Value.WarmTarget(image.Slug) > 0)
            .Select(image => (image, spec.Fingerprint(image, options.Value.DefaultCpus, options.Value.DefaultMemoryMb))),
    ];

    /// <summary>A newer version, or another setting, has made them useless.</summary>
    private async Task TrimAsync()
    {
        foreach (var container in pool.TakeOthers(Wanted().Select(w => w.Fingerprint).ToHashSet()))
        {
            LogOutdated(container.Name, container.TemplateVersionId);
            await RemoveAsync(container);
        }
    }

    private void StartDue(CancellationToken stoppingToken)
    {
        while (time.GetUtcNow().UtcTicks >= Volatile.Read(ref _pausedUntilTicks)
            && MostWanted() is var (image, fingerprint) && gate.TryEnter() is { } place)
        {
            lock (_lock)
            {
                _making[fingerprint] = _making.GetValueOrDefault(fingerprint) + 1;
            }

            var making = Task.Run(() => MakeAsync(image, fingerprint, place, stoppingToken), CancellationToken.None);
            _tasks[making.Id] = making;
            _ = making.ContinueWith(t => _tasks.TryRemove(t.Id, out _), TaskScheduler.Default);
        }
    }

    /// <summary>The template that lacks the largest part of its stock.</summary>
    private (TemplateImage Image, string Fingerprint)? MostWanted()
    {
        (TemplateImage, string)? found = null;
        var lowest = pool.Quiet < ClaimPause ? LowStock : 1.0;
        foreach (var (image, fingerprint) in Wanted())
        {
            int making;
            lock (_lock)
            {
                making = _making.GetValueOrDefault(fingerprint);
            }

            var filled = (double)(pool.Count(fingerprint) + making) / options.Value.WarmTarget(image.Slug);
            if (filled < lowest)
            {
                (lowest, found) = (filled, (image, fingerprint));
            }
        }

        return found;
    }

    private async Task MakeAsync(TemplateImage image, string fingerprint, IDisposable place, CancellationToken stoppingToken)
    {
        try
        {
            using (place)
            {
                var container = await containers.CreateAsync(
                    image, options.Value.DefaultCpus, options.Value.DefaultMemoryMb, stoppingToken);
                pool.Add(container);
            }

            Volatile.Write(ref _failures, 0);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The worker stops.
        }
        catch (Exception exception)
        {
            // Whatever went wrong must not end the refill.
            var pause = TimeSpan.FromSeconds(Math.Min(MaxPause.TotalSeconds, Math.Pow(2, Interlocked.Increment(ref _failures) - 1)));
            Volatile.Write(ref _pausedUntilTicks, (time.GetUtcNow() + pause).UtcTicks);
            LogFailed(exception, image.VersionId, pause.TotalSeconds);
        }
        finally
        {
            lock (_lock)
            {
                _making[fingerprint]--;
            }

            pool.Demand();
        }
    }

    private async Task RemoveAsync(SandboxContainer container)
    {
        try
        {
            await containers.RemoveAsync(container);
        }
        catch (Containers.EngineException exception)
        {
            LogNotRemoved(exception, container.Name);
        }
    }

    [LoggerMessage(5111, LogLevel.Information, "Warm sandbox {Name} of {VersionId} is outdated")]
    private partial void LogOutdated(string name, string versionId);

    [LoggerMessage(5112, LogLevel.Error, "No warm sandbox of {VersionId} could be made; next attempt in {Seconds} s")]
    private partial void LogFailed(Exception exception, string versionId, double seconds);

    [LoggerMessage(5113, LogLevel.Warning, "Warm sandbox {Name} could not be removed now; the reaper will")]
    private partial void LogNotRemoved(Exception exception, string name);
}
