using System.Net;
using System.Net.Sockets;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>What an environment callback may fill.</summary>
public sealed class EnvironmentCallbackContext(
    DistributedApplicationExecutionContext executionContext,
    Dictionary<string, object> environmentVariables,
    CancellationToken cancellationToken)
{
    /// <summary>Name to value: text, or an <see cref="IValueProvider"/> that is resolved when the process starts.</summary>
    public Dictionary<string, object> EnvironmentVariables { get; } = environmentVariables;

    /// <summary>Why the callback runs.</summary>
    public DistributedApplicationExecutionContext ExecutionContext { get; } = executionContext;

    /// <summary>Cancelled when the application stops.</summary>
    public CancellationToken CancellationToken { get; } = cancellationToken;
}

/// <summary>How a container outlives the application; the local flavour has only processes and stops them all.</summary>
public enum ContainerLifetime
{
    /// <summary>Ends with the application.</summary>
    Session,

    /// <summary>Stays. Locally the data stays, the process does not.</summary>
    Persistent,
}

internal sealed class EndpointAnnotation(string name, string uriScheme, int? port, string? environmentVariable) : IResourceAnnotation
{
    public const string Loopback = "127.0.0.1";

    private readonly Dictionary<int, int> _allocated = [];

    public string Name { get; } = name;

    public string UriScheme { get; } = uriScheme;

    public int? Port { get; } = port;

    /// <summary>A variable that tells the process its port, besides ASPNETCORE_URLS.</summary>
    public string? EnvironmentVariable { get; } = environmentVariable;

    public bool IsExternal { get; set; }

    /// <summary>The declared port, or a free one that stays the same for the life of the application.</summary>
    public int AllocatedPort(int replica)
    {
        if (Port is int fixedPort)
            return fixedPort;
        lock (_allocated)
        {
            if (!_allocated.TryGetValue(replica, out var allocated))
                _allocated[replica] = allocated = FreePort();
            return allocated;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

internal sealed record EnvironmentAnnotation(Func<EnvironmentCallbackContext, Task> Callback) : IResourceAnnotation;

internal sealed record ArgumentsAnnotation(IReadOnlyList<object> Arguments) : IResourceAnnotation;

internal sealed record ProjectAnnotation(IProjectMetadata Metadata) : IResourceAnnotation;

internal sealed record ImageAnnotation(string Image, string Tag) : IResourceAnnotation;

internal sealed record DataFolderAnnotation(string Path) : IResourceAnnotation;

internal sealed record ReplicaAnnotation(int Replicas) : IResourceAnnotation;

internal sealed record ExplicitStartAnnotation : IResourceAnnotation;

internal sealed record HttpHealthAnnotation(string Path, int StatusCode, string? EndpointName) : IResourceAnnotation;

internal enum WaitKind
{
    Started,
    Healthy,
    Completed,
}

internal sealed record WaitAnnotation(IResource Resource, WaitKind Kind, int ExitCode = 0) : IResourceAnnotation;
