using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Containers.Network;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Templates;
using Docker.DotNet.Models;

namespace CrowNest.Worker.Containers;

/// <summary>Makes, finds again and removes containers of sandboxes, with all that belongs to one: socket folder, uid, network link.</summary>
internal sealed partial class SandboxContainers(
    EngineClient engine, Node node, SandboxSpec spec, UidRange uids, SandboxNetwork network, ILogger<SandboxContainers> logger)
{
    private static readonly TimeSpan AgentStartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AgentStartPoll = TimeSpan.FromMilliseconds(5);

    private const UnixFileMode SocketFolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>Everything that is not a leftover, by name; null while it is being made.</summary>
    private readonly ConcurrentDictionary<string, SandboxContainer?> _owned = new();
    private readonly ConcurrentDictionary<string, SandboxContainer> _byId = new();

    /// <summary>On their way, by the container's name.</summary>
    private readonly ConcurrentDictionary<string, Task> _removals = new();

    public bool Owns(string name) => _owned.ContainsKey(name);

    public bool TryGet(string containerId, [NotNullWhen(true)] out SandboxContainer? container) =>
        _byId.TryGetValue(containerId, out container);

    /// <summary>A started container with an agent that answers and has no identity yet. When it fails, nothing is left of it.</summary>
    public async Task<SandboxContainer> CreateAsync(TemplateImage image, double cpus, int memoryMb, CancellationToken cancellationToken)
    {
        var uid = uids.Take();
        var name = $"crownest-{node.State.DeploymentId}-{Guid.NewGuid().ToString("n")[..12]}";
        _owned[name] = null;
        string? id = null;
        try
        {
            CreateSocketFolder(name);
            var body = spec.Build(image, cpus, memoryMb, uid, name);
            var fingerprint = spec.Fingerprint(image, cpus, memoryMb);
            body.Labels[ContainerLabels.Fingerprint] = fingerprint;
            // Not cancelable: the engine would finish it all the same, after it was looked for and not found.
            var created = await engine.CreateContainerAsync(body, CancellationToken.None);
            id = created.ID;
            foreach (var warning in created.Warnings ?? [])
            {
                LogEngineWarning(name, warning);
            }

            await engine.StartContainerAsync(id, cancellationToken);
            if (await engine.FindContainerAsync(id, cancellationToken) is not { State: { } state, HostConfig: { } host })
            {
                throw new EngineException($"The container {name} vanished while it was started.", null);
            }

            var container = new SandboxContainer
            {
                Name = name,
                ContainerId = id,
                TemplateVersionId = image.VersionId,
                Fingerprint = fingerprint,
                Uid = uid,
                Pid = (int)state.Pid,
                Process = ContainerProcess.TryOpen((int)state.Pid),
                Runtime = host.Runtime ?? "",
                Agent = OpenAgent(name),
            };
            try
            {
                await WaitForAgentAsync(container, cancellationToken);
            }
            catch
            {
                container.Dispose();
                throw;
            }

            return Own(container);
        }
        catch
        {
            await RemoveAsync(name, id ?? name, uid);
            throw;
        }
    }

    /// <summary>Takes a container of an earlier start of this worker; null when its agent does not answer.</summary>
    public async Task<(SandboxContainer Container, string? SandboxId)?> AttachAsync(
        ContainerListResponse found, CancellationToken cancellationToken)
    {
        var details = await engine.FindContainerAsync(found.ID, cancellationToken);
        if (details is not { State: { Running: true } state, HostConfig: { } host }
            || !int.TryParse(found.Label(ContainerLabels.Uid), CultureInfo.InvariantCulture, out var uid))
        {
            return null;
        }

        var container = new SandboxContainer
        {
            Name = found.Name(),
            ContainerId = found.ID,
            TemplateVersionId = found.Label(ContainerLabels.TemplateVersion) ?? "",
            Fingerprint = found.Label(ContainerLabels.Fingerprint) ?? "",
            Uid = uid,
            Pid = (int)state.Pid,
            Process = ContainerProcess.TryOpen((int)state.Pid),
            Runtime = host.Runtime ?? "",
            Agent = OpenAgent(found.Name()),
        };
        try
        {
            var health = await container.Agent.GetHealthAsync(cancellationToken);
            uids.Adopt(uid);
            return (Own(container), health.SandboxId);
        }
        catch (Exception exception) when (exception is AgentUnavailableException or AgentErrorException)
        {
            LogSilent(container.Name, exception.Message);
            container.Dispose();
            return null;
        }
    }

    /// <summary>
    /// Ends everything that runs in the container; returns when it has ended. What is then left of the container goes in the background,
    /// which takes the engine far longer; where that fails, it is the reaper's.
    /// </summary>
    public async Task EndAsync(SandboxContainer container)
    {
        container.MarkRemoving();
        if (container.Process is not { } process || !await process.KillAsync())
        {
            await RemoveAsync(container);
            return;
        }

        var removal = RemoveEndedAsync(container);
        _removals[container.Name] = removal;
        if (removal.IsCompleted)
        {
            _removals.TryRemove(container.Name, out _);
        }
    }

    /// <summary>Returns when what <see cref="EndAsync"/> has left to the background by now is done.</summary>
    public Task SettleAsync() => Task.WhenAll(_removals.Values);

    /// <summary>Removes the container and all that belongs to it; returns when it is gone. Repeating it is harmless.</summary>
    public async Task RemoveAsync(SandboxContainer container)
    {
        container.MarkRemoving();
        await RemoveAsync(container.Name, container.ContainerId, container.Uid);
        _byId.TryRemove(container.ContainerId, out _);
        container.Dispose();
    }

    /// <summary>Removes a container that nobody owns.</summary>
    public Task RemoveLeftoverAsync(ContainerListResponse leftover)
    {
        var hasUid = int.TryParse(leftover.Label(ContainerLabels.Uid), CultureInfo.InvariantCulture, out var uid);
        return RemoveAsync(leftover.Name(), leftover.ID, hasUid ? uid : null);
    }

    /// <summary>Removes the socket folders that belong to no container.</summary>
    public void RemoveStraySocketFolders(IReadOnlySet<string> containerNames)
    {
        foreach (var folder in Directory.GetDirectories(node.State.Sockets))
        {
            var name = Path.GetFileName(folder);
            if (!containerNames.Contains(name) && !Owns(name))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private async Task RemoveEndedAsync(SandboxContainer container)
    {
        try
        {
            await RemoveAsync(container);
        }
        catch (Exception exception) when (exception is EngineException or HostProgramException or IOException or UnauthorizedAccessException)
        {
            LogLeft(exception, container.Name);
            _byId.TryRemove(container.ContainerId, out _);
            container.Dispose();
        }
        finally
        {
            _removals.TryRemove(container.Name, out _);
        }
    }

    /// <remarks>Not cancelable: half a removal would leave something behind. The engine client has its own limit.</remarks>
    private async Task RemoveAsync(string name, string id, int? uid)
    {
        try
        {
            await engine.RemoveContainerAsync(id, CancellationToken.None);
            if (uid is { } known)
            {
                await network.UnplugAsync(known, CancellationToken.None);
            }

            var folder = node.State.SocketFolder(name);
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }

            // Last: as long as something is left, nobody else gets the uid.
            if (uid is { } free)
            {
                uids.Release(free);
            }
        }
        finally
        {
            // Whatever is left after a failure is the reaper's.
            _owned.TryRemove(name, out _);
        }
    }

    private void CreateSocketFolder(string name)
    {
        var folder = node.State.SocketFolder(name);
        Directory.CreateDirectory(folder);
        // Set apart from the creation: the process's umask does not apply to it.
        File.SetUnixFileMode(folder, SocketFolderMode);
    }

    private AgentClient OpenAgent(string name) => new(Path.Combine(node.State.SocketFolder(name), "agent.sock"));

    private SandboxContainer Own(SandboxContainer container)
    {
        _owned[container.Name] = container;
        _byId[container.ContainerId] = container;
        return container;
    }

    private async Task WaitForAgentAsync(SandboxContainer container, CancellationToken cancellationToken)
    {
        var socket = Path.Combine(node.State.SocketFolder(container.Name), "agent.sock");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(AgentStartLimit);
        using var timer = new PeriodicTimer(AgentStartPoll);
        try
        {
            for (var polls = 1; ; polls++)
            {
                if (File.Exists(socket) && await AnswersAsync(container.Agent, limit.Token))
                {
                    return;
                }

                // An agent that refuses its arguments is gone at once: no reason to wait for the limit.
                if (polls % 50 == 0 && await engine.FindContainerAsync(container.ContainerId, limit.Token) is not { State.Running: true })
                {
                    throw new EngineException($"The agent of container {container.Name} ended right after its start.", null);
                }

                await timer.WaitForNextTickAsync(limit.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EngineException(
                $"The agent of container {container.Name} did not answer within {AgentStartLimit.TotalSeconds} s.", null);
        }
    }

    private static async Task<bool> AnswersAsync(AgentClient agent, CancellationToken cancellationToken)
    {
        try
        {
            await agent.GetHealthAsync(cancellationToken);
            return true;
        }
        catch (AgentUnavailableException)
        {
            // The socket is bound and not listening yet.
            return false;
        }
    }

    [LoggerMessage(5101, LogLevel.Debug, "The engine warns about {Name}: {Warning}")]
    private partial void LogEngineWarning(string name, string warning);

    [LoggerMessage(5102, LogLevel.Warning, "The agent of {Name} does not answer: {Reason}")]
    private partial void LogSilent(string name, string reason);

    [LoggerMessage(5103, LogLevel.Warning, "Container {Name} has ended and is not removed yet; the reaper will")]
    private partial void LogLeft(Exception exception, string name);
}
