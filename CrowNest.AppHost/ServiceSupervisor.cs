using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CrowNest.AppHost;

/// <summary>
/// What Aspire leaves to others: a resource that ended by itself is started again, and a stop ends the services before what they depend on.
/// </summary>
internal sealed partial class ServiceSupervisor(
    DistributedApplicationModel model,
    ResourceNotificationService notifications,
    ResourceCommandService commands,
    TimeProvider time,
    ILogger<ServiceSupervisor> logger) : IHostedLifecycleService, IDisposable
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    /// <summary>Who ran for so long has not died of its start.</summary>
    private static readonly TimeSpan HealthyRun = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, Supervised> _supervised = new();

    private readonly CancellationTokenSource _stopping = new();
    private Task _watching = Task.CompletedTask;

    /// <summary>Before Aspire's own start, which ends only when everything runs: what dies meanwhile is started again, too.</summary>
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        _watching = WatchAsync(_stopping.Token);
        return Task.CompletedTask;
    }

    /// <summary>Services first, all at once: what they say goodbye to is still there. DCP alone would stop everything in no order.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _watching;
        await Task.WhenAll(model.Resources.OfType<ServiceResource>().Select(
            service => commands.ExecuteCommandAsync(service, KnownResourceCommands.StopCommand, cancellationToken)));
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _stopping.Dispose();

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        var restarts = new List<Task>();
        try
        {
            await foreach (var change in notifications.WatchAsync(cancellationToken))
            {
                if (change.Resource is not (ServiceResource or ContainerResource))
                    continue;
                var supervised = _supervised.GetOrAdd(change.ResourceId, _ => new Supervised());
                if (supervised.HasEndedByItself(change.Snapshot.State?.Text, time.GetUtcNow()))
                {
                    restarts.RemoveAll(restart => restart.IsCompletedSuccessfully);
                    restarts.Add(RestartAsync(change.Resource.Name, change.ResourceId, supervised, change.Snapshot.ExitCode, cancellationToken));
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await Task.WhenAll(restarts);
        }
    }

    private async Task RestartAsync(string name, string id, Supervised supervised, int? exitCode, CancellationToken cancellationToken)
    {
        for (var wait = supervised.NextWait(); ; wait = supervised.NextWait())
        {
            LogRestarting(logger, name, exitCode, wait);
            try
            {
                await Task.Delay(wait, time, cancellationToken);
                var result = await commands.ExecuteCommandAsync(id, KnownResourceCommands.StartCommand, cancellationToken);
                if (result.Success)
                    return;
                LogNotStarted(logger, name, result.Message);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>What is known of one resource: its last state, and how often it has died in a row.</summary>
    private sealed class Supervised
    {
        private string? _state;
        private DateTimeOffset _runningSince;
        private int _deaths;

        /// <summary>Whether this change is an end that nobody asked for; a stop that was asked for passes through "Stopping".</summary>
        public bool HasEndedByItself(string? state, DateTimeOffset now)
        {
            var previous = _state;
            if (state == previous)
                return false;
            _state = state;
            if (state == KnownResourceStates.Running)
                _runningSince = now;
            var ended = state is not null && KnownResourceStates.TerminalStates.Contains(state);
            if (!ended || previous is null || previous == KnownResourceStates.Stopping)
                return false;
            if (previous == KnownResourceStates.Running && now - _runningSince >= HealthyRun)
                _deaths = 0;
            return true;
        }

        public TimeSpan NextWait()
        {
            var wait = ShortestWait * Math.Pow(2, _deaths);
            _deaths++;
            return wait < LongestWait ? wait : LongestWait;
        }
    }

    [LoggerMessage(8001, LogLevel.Warning, "{Resource} ended by itself (exit code {ExitCode}); starting it again in {Wait}.")]
    private static partial void LogRestarting(ILogger logger, string resource, int? exitCode, TimeSpan wait);

    [LoggerMessage(8002, LogLevel.Warning, "{Resource} could not be started: {Reason}")]
    private static partial void LogNotStarted(ILogger logger, string resource, string? reason);
}
