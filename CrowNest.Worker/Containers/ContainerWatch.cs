using CrowNest.Worker.Agents;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Sandboxes;
using Docker.DotNet.Models;

namespace CrowNest.Worker.Containers;

/// <summary>Notices at once when a sandbox loses its container or its agent: by the engine's events, and on suspicion.</summary>
internal sealed partial class ContainerWatch(
    Node node, EngineClient engine, LiveSandboxes live, SandboxContainers containers, WarmPool pool, SandboxEndings endings,
    SandboxReaper reaper, WorkerRetries retries, ILogger<ContainerWatch> logger) : BackgroundService
{
    private const int HealthAttempts = 2;

    /// <summary>A sandbox that does its worst delays its agent by a third of a second; a busy node by more.</summary>
    private static readonly TimeSpan HealthLimit = TimeSpan.FromSeconds(5);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(WatchEventsAsync(stoppingToken), CheckSuspectsAsync(stoppingToken));

    /// <summary>Whatever ends the stream of events, it is opened again: without it a loss is noticed by the reaper, and later.</summary>
    private async Task WatchEventsAsync(CancellationToken stoppingToken)
    {
        var isWatching = true;
        await retries.WaitForAsync("The engine's events", WatchOnceAsync, stoppingToken);

        // Ends with an exception only.
        async Task WatchOnceAsync(CancellationToken token)
        {
            try
            {
                await foreach (var happened in engine.WatchContainersAsync(node.State.ContainerLabel, OnConnectedAsync, token))
                {
                    Handle(happened);
                }
            }
            catch (Exception exception) when (!token.IsCancellationRequested)
            {
                if (isWatching)
                {
                    LogLost(exception);
                }

                isWatching = false;
                throw;
            }
        }

        async Task OnConnectedAsync()
        {
            if (!isWatching)
            {
                // Whatever ended while nobody listened.
                isWatching = true;
                await reaper.RunAsync(stoppingToken);
            }
        }
    }

    private void Handle(Message happened)
    {
        if (!containers.TryGet(happened.Actor.ID, out var container) || container.IsRemoving)
        {
            return;
        }

        if (happened.Action == "oom")
        {
            LogOutOfMemory(container.Name);
            return;
        }

        if (live.All.FirstOrDefault(sandbox => sandbox.ContainerId == container.ContainerId) is { } sandbox)
        {
            var exitCode = happened.Actor.Attributes.TryGetValue("exitCode", out var told) ? told : "unknown";
            _ = endings.FailAsync(sandbox.Id, $"The sandbox's main process ended unexpectedly (exit code {exitCode}).");
        }
        else if (pool.Holds(container))
        {
            LogWarmLost(container.Name);
            container.MarkRemoving();
            _ = RemoveAsync(container);
            pool.Demand();
        }
    }

    private async Task CheckSuspectsAsync(CancellationToken stoppingToken)
    {
        await foreach (var id in live.Suspects.ReadAllAsync(stoppingToken))
        {
            if (live.TryGet(id, out var sandbox) && !endings.IsEnding(id))
            {
                _ = CheckAsync(sandbox, stoppingToken);
            }
        }
    }

    private async Task CheckAsync(LiveSandbox sandbox, CancellationToken stoppingToken)
    {
        try
        {
            for (var attempt = 1; attempt <= HealthAttempts; attempt++)
            {
                if (await IsHealthyAsync(sandbox, stoppingToken))
                {
                    return;
                }

                // No reason to ask again: a container that has ended will not answer.
                if (await engine.FindContainerAsync(sandbox.ContainerId, stoppingToken) is not { State.Running: true })
                {
                    break;
                }
            }

            await endings.FailAsync(sandbox.Id, "The sandbox does not answer any more.");
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogCheckFailed(exception, sandbox.Id);
        }
    }

    /// <summary>An agent of another sandbox is none: it was not us who gave it that identity.</summary>
    private static async Task<bool> IsHealthyAsync(LiveSandbox sandbox, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(HealthLimit);
        try
        {
            return (await sandbox.Agent.GetHealthAsync(limit.Token)).SandboxId == sandbox.Id;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && exception
            is AgentUnavailableException or AgentErrorException or ObjectDisposedException or OperationCanceledException)
        {
            return false;
        }
    }

    private async Task RemoveAsync(SandboxContainer container)
    {
        try
        {
            await containers.RemoveAsync(container);
        }
        catch (Exception exception) when (exception is EngineException or HostProgramException or IOException)
        {
            LogCheckFailed(exception, container.Name);
        }
    }

    [LoggerMessage(5151, LogLevel.Error, "The engine's events cannot be read; connecting again")]
    private partial void LogLost(Exception exception);

    [LoggerMessage(5152, LogLevel.Information, "Processes of {Name} were ended because its memory is used up")]
    private partial void LogOutOfMemory(string name);

    [LoggerMessage(5153, LogLevel.Warning, "Warm sandbox {Name} ended by itself")]
    private partial void LogWarmLost(string name);

    [LoggerMessage(5154, LogLevel.Error, "{Sandbox} could not be checked or removed; the reaper will")]
    private partial void LogCheckFailed(Exception exception, string sandbox);
}
