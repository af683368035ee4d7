using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Services;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Running;

/// <summary>Starts the resources of a model in the order of their dependencies, and stops them in the opposite one.</summary>
internal sealed class ApplicationRunner(
    IDistributedApplicationBuilder model,
    LocalHostingOptions options,
    StateFolder state,
    ResourceConsole console,
    ProcessLauncher launcher,
    EnvironmentComposer composer,
    ResourceNotificationService notifications,
    TimeProvider time,
    ILogger<ApplicationRunner> logger) : IHostedService, IAsyncDisposable
{
    private readonly Dictionary<IResource, List<ResourceSupervisor>> _supervisors = [];
    private readonly CancellationTokenSource _ended = new();
    private Task _announcement = Task.CompletedTask;
    private bool _stopped;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        ModelRules.Check(model.Resources);
        var processes = model.Resources.Where(ModelRules.IsProcess).ToList();
        console.Align(processes.SelectMany(InstanceNames));
        RunnerLog.Starting(logger, state.Path);
        state.Lock();
        try
        {
            await new LeftoverProcesses(state, time, logger).EndAsync(cancellationToken);
            await PrepareAsync(processes, cancellationToken);
        }
        catch
        {
            state.Dispose();
            throw;
        }

        foreach (var resource in processes)
            _supervisors[resource] = CreateSupervisors(resource);
        foreach (var resource in processes.Where(resource => !resource.Annotations.OfType<ExplicitStartAnnotation>().Any()))
            await Task.WhenAll(_supervisors[resource].Select(supervisor => supervisor.StartAsync()));
        _announcement = AnnounceHealthAsync(processes, _ended.Token);
    }

    /// <summary>Does nothing the second time: the host stops what it started, and its container disposes of it once more.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_stopped)
            return;
        _stopped = true;
        await _ended.CancelAsync();
        await _announcement;
        var stops = new Dictionary<IResource, Task>();
        await Task.WhenAll(_supervisors.Keys.Select(StopInOrder));
        if (_supervisors.Count > 0)
            RunnerLog.AllStopped(logger);
        foreach (var supervisor in _supervisors.Values.SelectMany(supervisors => supervisors))
            supervisor.Dispose();
        _supervisors.Clear();
        state.Dispose();

        Task StopInOrder(IResource resource)
        {
            if (!stops.TryGetValue(resource, out var stop))
                stops[resource] = stop = StopAfterDependentsAsync(resource);
            return stop;
        }

        async Task StopAfterDependentsAsync(IResource resource)
        {
            var dependents = _supervisors.Keys.Where(other => ModelRules.Dependencies(other).Any(wait => wait.Resource == resource));
            await Task.WhenAll(dependents.Select(StopInOrder));
            await Task.WhenAll(_supervisors[resource].Select(supervisor => supervisor.StopAsync()));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None);
        _ended.Dispose();
    }

    /// <summary>The supervisors of a resource by its name, or the one of a replica by the replica's.</summary>
    public IReadOnlyList<ResourceSupervisor> FindSupervisors(string name)
    {
        var byResource = _supervisors.Where(pair => string.Equals(pair.Key.Name, name, StringComparison.OrdinalIgnoreCase))
            .SelectMany(pair => pair.Value).ToList();
        if (byResource.Count == 0)
            byResource = [.. _supervisors.Values.SelectMany(all => all).Where(supervisor => supervisor.Name == name)];
        return byResource.Count > 0 ? byResource : throw new DistributedApplicationException($"There is no running resource named `{name}`.");
    }

    public IResource FindResource(string name) =>
        model.Resources.FirstOrDefault(resource => string.Equals(resource.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw new DistributedApplicationException($"There is no resource named `{name}`.");

    private async Task PrepareAsync(List<IResource> processes, CancellationToken cancellationToken)
    {
        foreach (var resource in processes)
            ResourceDriver.RequireFreePorts(resource);
        foreach (var resource in model.Resources)
        {
            if (resource is FolderResource folder)
                Directory.CreateDirectory(folder.Path);
            else if (resource is ParameterResource parameter)
                await parameter.GetValueAsync(cancellationToken);

            var explicitStart = resource.Annotations.OfType<ExplicitStartAnnotation>().Any();
            var snapshot = ModelRules.IsProcess(resource) || resource is IResourceWithParent
                ? new ResourceSnapshot(explicitStart ? KnownResourceStates.NotStarted : KnownResourceStates.Waiting)
                : new ResourceSnapshot(KnownResourceStates.Running, IsHealthy: true);
            foreach (var name in InstanceNames(resource))
                notifications.Publish(name, snapshot);
        }
    }

    private List<ResourceSupervisor> CreateSupervisors(IResource resource)
    {
        var context = new SupervisionContext(options, state, launcher, notifications, time, logger);
        var parts = model.Resources.OfType<IResourceWithParent>().Where(part => part.Parent == resource).Select(part => part.Name).ToList();
        return [.. InstanceNames(resource).Select((name, replica) =>
        {
            var addresses = resource.Annotations.OfType<EndpointAnnotation>()
                .Select(endpoint => $"{endpoint.UriScheme}://{EndpointAnnotation.Loopback}:{endpoint.AllocatedPort(replica)}").ToList();
            var address = addresses.Count == 0 ? "" : " on " + string.Join(", ", addresses);
            var output = new ResourceOutput(name, address, console, state);
            ResourceDriver driver = resource switch
            {
                PostgresServerResource postgres => new PostgresDriver(postgres, options, state, launcher, time, output.WriteLine),
                RedisResource redis => new RedisDriver(redis, options, state),
                _ => new ProgramDriver(resource, replica, composer, options),
            };
            return new ResourceSupervisor(name, parts, driver, ended => WaitForDependenciesAsync(resource, name, ended), output, context);
        })];
    }

    private async Task WaitForDependenciesAsync(IResource resource, string name, CancellationToken cancellationToken)
    {
        var waits = ModelRules.Dependencies(resource).ToList();
        if (waits.Count == 0)
            return;
        RunnerLog.Waiting(logger, name, string.Join(", ", waits.Select(wait => wait.Resource.Name)));
        await Task.WhenAll(waits.SelectMany(wait => InstanceNames(wait.Resource).Select(dependency => WaitAsync(wait, dependency))));

        async Task WaitAsync(WaitAnnotation wait, string dependency)
        {
            var snapshot = await notifications.WaitForResourceAsync(
                dependency,
                current => wait.Kind switch
                {
                    WaitKind.Healthy => current.IsHealthy,
                    WaitKind.Started => current.State == KnownResourceStates.Running,
                    _ => false,
                } || current.State is KnownResourceStates.FailedToStart or KnownResourceStates.Finished || current.ExitCode is not null
                    && current.State == KnownResourceStates.Exited,
                cancellationToken);
            if (wait.Kind == WaitKind.Completed ? snapshot.ExitCode != wait.ExitCode : snapshot.State != KnownResourceStates.Running)
                throw new DistributedApplicationException($"It waits for `{dependency}`, which is {snapshot.State} ({snapshot.ExitCode}).");
        }
    }

    private async Task AnnounceHealthAsync(List<IResource> processes, CancellationToken ended)
    {
        var started = time.GetTimestamp();
        try
        {
            foreach (var name in processes.Where(resource => !resource.Annotations.OfType<ExplicitStartAnnotation>().Any()).SelectMany(InstanceNames))
            {
                await notifications.WaitForResourceAsync(
                    name, current => current.IsHealthy || current.State == KnownResourceStates.Finished, ended);
            }
            RunnerLog.AllHealthy(logger, time.GetElapsedTime(started).TotalSeconds);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // Stopped before everything was healthy: there is nothing to announce.
        }
    }

    private static IEnumerable<string> InstanceNames(IResource resource)
    {
        var replicas = resource.Annotations.OfType<ReplicaAnnotation>().LastOrDefault()?.Replicas ?? 1;
        return replicas == 1 ? [resource.Name] : Enumerable.Range(0, replicas).Select(replica => $"{resource.Name}-{replica}");
    }
}
