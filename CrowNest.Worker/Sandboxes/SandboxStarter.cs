using System.Collections.Concurrent;
using System.Diagnostics;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Containers;
using CrowNest.Worker.Containers.Network;
using CrowNest.Worker.Http;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Templates;

namespace CrowNest.Worker.Sandboxes;

/// <summary>
/// Takes a <c>creating</c> row on: a warm container or a cold one, its identity, its network, <c>ready</c>. It runs to its end also when
/// the caller is gone; the row then has its deadline like every other.
/// </summary>
internal sealed partial class SandboxStarter(
    Node node, NodeCapacity capacity, WarmPool pool, CreationGate gate, SandboxContainers containers, SandboxSpec spec,
    SandboxNetwork network, TemplateImages templates, LiveSandboxes live, SandboxStore sandboxes, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<SandboxStarter> logger)
{
    /// <summary>A warm agent answers in a millisecond; one that needs longer is not worth waiting for.</summary>
    private static readonly TimeSpan WarmClaimLimit = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Lazy<Task<SandboxStarted>>> _starting = new();

    /// <summary>Whether this sandbox is on its way; a row that is <c>starting</c> otherwise was left by an earlier start.</summary>
    public bool IsStarting(string sandboxId) => _starting.ContainsKey(sandboxId);

    /// <summary>A repeated request for the same sandbox gets the same answer.</summary>
    /// <exception cref="WorkerException">The node is full, or the sandbox could not be made: the row is <c>failed</c> then.</exception>
    public async Task<SandboxStarted> StartAsync(StartSandbox request)
    {
        var task = _starting.GetOrAdd(request.SandboxId, _ => new(() => RunAsync(request, lifetime.ApplicationStopping)));
        try
        {
            return await task.Value;
        }
        finally
        {
            _starting.TryRemove(new(request.SandboxId, task));
        }
    }

    private async Task<SandboxStarted> RunAsync(StartSandbox request, CancellationToken cancellationToken)
    {
        if (live.TryGet(request.SandboxId, out _))
        {
            return await ReadStartedAsync(request.SandboxId, cancellationToken);
        }

        using var activity = WorkerTelemetry.Activities.StartActivity("sandbox.start");
        activity?.SetTag("crownest.sandbox", request.SandboxId);
        using var place = capacity.TryTake(request.SandboxId) ?? throw WorkerException.Full(capacity.Limit);
        var started = Stopwatch.GetTimestamp();
        try
        {
            var result = await MakeAsync(request, cancellationToken);
            WorkerTelemetry.SandboxStart.Record(
                Stopwatch.GetElapsedTime(started).TotalMilliseconds,
                new KeyValuePair<string, object?>("start", result.Warm ? "warm" : "cold"));
            activity?.SetTag("crownest.warm", result.Warm);
            LogStarted(request.SandboxId, result.Warm ? "warm" : "cold", Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            return result;
        }
        catch (Exception exception) when (exception is EngineException or HostProgramException or AgentErrorException
            or AgentUnavailableException or InvalidOperationException or OperationCanceledException)
        {
            var message = exception is OperationCanceledException ? "The node was stopped." : exception.Message;
            await FailAsync(request.SandboxId, message);
            throw WorkerException.Runtime($"The sandbox could not be started: {message}", exception);
        }
        catch (WorkerException exception) when (exception.Code == ErrorCodes.RuntimeError)
        {
            await FailAsync(request.SandboxId, exception.Message);
            throw;
        }
    }

    private async Task<SandboxStarted> MakeAsync(StartSandbox request, CancellationToken cancellationToken)
    {
        var image = await templates.FindAsync(request.TemplateVersionId, cancellationToken) ?? throw WorkerException.Runtime(
            $"The image of template version {request.TemplateVersionId} is not on this node. Images are built by eng/images.sh.");
        var environment = EnvironmentOf(request);
        var fingerprint = spec.Fingerprint(image, request.Cpus, request.MemoryMb);
        while (pool.TryTake(fingerprint, out var warm))
        {
            if (await ClaimWarmAsync(warm, request.SandboxId, environment, cancellationToken))
            {
                return await FinishAsync(request, warm, isWarm: true, cancellationToken);
            }
        }

        if (!await sandboxes.MarkStartingAsync(request.SandboxId, node.Id, cancellationToken))
        {
            throw await EndedMeanwhileAsync(request.SandboxId);
        }

        SandboxContainer cold;
        using (await gate.EnterAsync(cancellationToken))
        {
            cold = await containers.CreateAsync(image, request.Cpus, request.MemoryMb, cancellationToken);
        }

        try
        {
            await cold.Agent.ClaimAsync(request.SandboxId, environment, cancellationToken);
        }
        catch
        {
            await containers.RemoveAsync(cold);
            throw;
        }

        return await FinishAsync(request, cold, isWarm: false, cancellationToken);
    }

    /// <summary>Network, row, and from then on it is live. When anything fails the container goes.</summary>
    private async Task<SandboxStarted> FinishAsync(
        StartSandbox request, SandboxContainer container, bool isWarm, CancellationToken cancellationToken)
    {
        var isLive = false;
        try
        {
            if (request.Network == NetworkPolicy.Internet)
            {
                await network.PlugAsync(container, cancellationToken);
            }

            // Known before the row says ready: nobody sees a ready sandbox that this worker does not know.
            live.Add(new LiveSandbox
            {
                Id = request.SandboxId,
                OrgId = request.OrgId,
                ProjectId = request.ProjectId,
                ContainerId = container.ContainerId,
                Agent = container.Agent,
            });
            isLive = true;
            var now = time.GetUtcNow();
            if (!await sandboxes.MarkReadyAsync(
                request.SandboxId, node.Id, container.ContainerId, container.Runtime, isWarm, now, cancellationToken))
            {
                throw await EndedMeanwhileAsync(request.SandboxId);
            }

            return new SandboxStarted(container.ContainerId, container.Runtime, isWarm, now);
        }
        catch
        {
            await containers.RemoveAsync(container);
            if (isLive)
            {
                live.Remove(request.SandboxId);
            }

            throw;
        }
    }

    private async Task<bool> ClaimWarmAsync(
        SandboxContainer warm, string sandboxId, Dictionary<string, string> environment, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(WarmClaimLimit);
        try
        {
            await warm.Agent.ClaimAsync(sandboxId, environment, limit.Token);
            return true;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested
            && exception is AgentErrorException or AgentUnavailableException or OperationCanceledException)
        {
            LogDiscarded(exception, warm.Name);
            WorkerTelemetry.WarmDiscarded.Add(1);
            warm.MarkRemoving();
            // The caller does not wait for it; the reaper finds what this leaves.
            _ = Task.Run(() => containers.RemoveAsync(warm), CancellationToken.None);
            return false;
        }
    }

    private static Dictionary<string, string> EnvironmentOf(StartSandbox request) => new()
    {
        ["CROWNEST"] = "1",
        ["CROWNEST_SANDBOX_ID"] = request.SandboxId,
        ["CROWNEST_PROJECT_ID"] = request.ProjectId,
        ["CROWNEST_ORG_ID"] = request.OrgId,
        ["CROWNEST_TEMPLATE_ID"] = request.TemplateId,
        ["CROWNEST_TEMPLATE_VERSION_ID"] = request.TemplateVersionId,
        ["CROWNEST_WORKSPACE"] = Limits.Workspace,
    };

    /// <summary>A kill overtook the start. The row had no container, so its end needs no more than saying so.</summary>
    private async Task<WorkerException> EndedMeanwhileAsync(string sandboxId)
    {
        await sandboxes.MarkDestroyedAsync(sandboxId, time.GetUtcNow(), CancellationToken.None);
        return WorkerException.Conflict("The sandbox was ended while it started.");
    }

    /// <summary>A row that was ended meanwhile is closed as what it is: destroyed.</summary>
    private async Task FailAsync(string sandboxId, string message)
    {
        if (!await sandboxes.MarkFailedAsync(sandboxId, message, time.GetUtcNow(), CancellationToken.None))
        {
            await sandboxes.MarkDestroyedAsync(sandboxId, time.GetUtcNow(), CancellationToken.None);
        }

        WorkerTelemetry.SandboxesEnded.Add(1, new KeyValuePair<string, object?>("reason", "not_started"));
    }

    private async Task<SandboxStarted> ReadStartedAsync(string sandboxId, CancellationToken cancellationToken)
    {
        var row = await sandboxes.FindAsync(sandboxId, cancellationToken);
        return row is { State: SandboxStatus.Ready, ContainerId: { } container, Runtime: { } runtime, ReadyAt: { } readyAt }
            ? new SandboxStarted(container, runtime, Warm: false, readyAt)
            : throw WorkerException.Conflict("The sandbox is ending.");
    }

    [LoggerMessage(5121, LogLevel.Information, "Sandbox {SandboxId} is ready, {Start}, after {Milliseconds:0.0} ms")]
    private partial void LogStarted(string sandboxId, string start, double milliseconds);

    [LoggerMessage(5122, LogLevel.Warning, "Warm sandbox {Name} does not take an identity and is discarded")]
    private partial void LogDiscarded(Exception exception, string name);
}
