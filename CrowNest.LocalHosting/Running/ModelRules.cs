using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Running;

/// <summary>What a model must satisfy to be run by local processes.</summary>
internal static class ModelRules
{
    public static bool IsProcess(IResource resource) =>
        resource is ProjectResource or ExecutableResource or ContainerResource;

    /// <summary>What a resource waits for; a part of a server (a database) is the server.</summary>
    public static IEnumerable<WaitAnnotation> Dependencies(IResource resource) => resource.Annotations.OfType<WaitAnnotation>()
        .Select(wait => wait.Resource is IResourceWithParent part ? wait with { Resource = part.Parent } : wait)
        .Where(wait => IsProcess(wait.Resource));

    /// <exception cref="DistributedApplicationException">Names the first rule that is broken.</exception>
    public static void Check(IEnumerable<IResource> resources)
    {
        var processes = resources.Where(IsProcess).ToList();
        foreach (var resource in processes)
        {
            RefuseContainer(resource);
            RefuseReplicasOnOnePort(resource);
            RefuseCycle(resource, []);
        }

        var shared = processes.SelectMany(resource => resource.Annotations.OfType<EndpointAnnotation>()
                .Where(endpoint => endpoint.Port is not null).Select(endpoint => (Port: endpoint.Port!.Value, resource.Name)))
            .GroupBy(use => use.Port).FirstOrDefault(uses => uses.Count() > 1);
        if (shared is not null)
        {
            throw new DistributedApplicationException(
                $"Port {shared.Key} is given to {string.Join(" and ", shared.Select(use => $"`{use.Name}`"))}. Change one of the CROWNEST_*_PORT.");
        }
    }

    private static void RefuseContainer(IResource resource)
    {
        if (resource is not ContainerResource || resource is PostgresServerResource or RedisResource)
            return;
        var image = resource.Annotations.OfType<ImageAnnotation>().LastOrDefault();
        throw new DistributedApplicationException(
            $"`{resource.Name}` is the container {image?.Image}:{image?.Tag}; the local flavour runs processes only. Run it under Aspire "
            + "(UseAspire=true), or describe it as an executable.");
    }

    private static void RefuseReplicasOnOnePort(IResource resource)
    {
        var replicas = resource.Annotations.OfType<ReplicaAnnotation>().LastOrDefault()?.Replicas ?? 1;
        if (replicas > 1 && resource.Annotations.OfType<EndpointAnnotation>().Any(endpoint => endpoint.Port is not null))
        {
            throw new DistributedApplicationException(
                $"`{resource.Name}` has {replicas} replicas and a fixed port; the local flavour has no proxy in front of them. "
                + "Leave the port out, or run one replica.");
        }
    }

    private static void RefuseCycle(IResource resource, IReadOnlyList<IResource> path)
    {
        if (path.Contains(resource))
        {
            throw new DistributedApplicationException(
                $"Resources wait for each other: {string.Join(" → ", path.Append(resource).Select(step => step.Name))}.");
        }
        foreach (var wait in Dependencies(resource))
            RefuseCycle(wait.Resource, [.. path, resource]);
    }
}
