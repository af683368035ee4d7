using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Running;

/// <summary>How one process of a resource is run on this machine.</summary>
internal abstract class ResourceDriver
{
    /// <summary>Whether it is meant to run for ever: an exit, even with 0, is a death then.</summary>
    public abstract bool IsService { get; }

    /// <summary>Makes ready what the process needs, and says how to start it. Called before every start.</summary>
    /// <exception cref="DistributedApplicationException">It cannot be started now.</exception>
    public abstract Task<ProcessSpec> PrepareAsync(CancellationToken cancellationToken);

    /// <summary>Why the running process is not healthy; null when it is.</summary>
    public virtual Task<string?> ProbeAsync(CancellationToken cancellationToken) => Task.FromResult<string?>(null);

    /// <summary>Work between the first passed probe of a process and its being announced as healthy.</summary>
    public virtual Task OnFirstHealthyAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <exception cref="DistributedApplicationException">Another process listens on a fixed port of the resource.</exception>
    public static void RequireFreePorts(IResource resource)
    {
        foreach (var port in resource.Annotations.OfType<EndpointAnnotation>().Select(endpoint => endpoint.Port).OfType<int>())
        {
            if (ListeningSocket.FindOwner(port) is not { } owner)
                continue;
            throw new DistributedApplicationException(
                $"Port {port} of `{resource.Name}` is in use by {owner}. Stop that process, or set "
                + $"CROWNEST_{ResourceName.ToVariable(resource.Name)}_PORT to a free port.");
        }
    }
}
