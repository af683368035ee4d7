using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;

namespace Aspire.Hosting.Testing;

/// <summary>What tests do with a started application.</summary>
public static class DistributedApplicationTestingExtensions
{
    /// <summary>The address of an endpoint; of the only or first http one when no name is given.</summary>
    public static Uri GetEndpoint(this DistributedApplication app, string resourceName, string? endpointName = null)
    {
        ArgumentNullException.ThrowIfNull(app);
        var endpoint = app.Runner.FindResource(resourceName).Annotations.OfType<EndpointAnnotation>()
            .FirstOrDefault(candidate => endpointName is null || candidate.Name == endpointName)
            ?? throw new DistributedApplicationException($"Resource `{resourceName}` has no endpoint `{endpointName ?? "http"}`.");
        return new Uri($"{endpoint.UriScheme}://{EndpointAnnotation.Loopback}:{endpoint.AllocatedPort(replica: 0)}");
    }

    /// <summary>A client whose base address is the endpoint; the caller disposes of it.</summary>
    public static HttpClient CreateHttpClient(this DistributedApplication app, string resourceName, string? endpointName = null) =>
        new() { BaseAddress = app.GetEndpoint(resourceName, endpointName) };

    /// <summary>The connection string of a resource.</summary>
    public static ValueTask<string?> GetConnectionStringAsync(
        this DistributedApplication app, string resourceName, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(app);
        return app.Runner.FindResource(resourceName) is IResourceWithConnectionString resource
            ? resource.GetConnectionStringAsync(cancellationToken)
            : throw new DistributedApplicationException($"Resource `{resourceName}` has no connection string.");
    }

    /// <summary>The value of a parameter.</summary>
    public static ValueTask<string?> GetParameterAsync(
        this DistributedApplication app, string parameterName, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(app);
        return app.Runner.FindResource(parameterName) is ParameterResource parameter
            ? parameter.GetValueAsync(cancellationToken)
            : throw new DistributedApplicationException($"`{parameterName}` is no parameter.");
    }

    /// <summary>
    /// Sends a signal to a resource's process. If it dies of it, that is a crash: it is reported, and started again after the usual delay.
    /// Local flavour only.
    /// </summary>
    /// <param name="app">The application.</param>
    /// <param name="resourceName">The resource.</param>
    /// <param name="signal">Number as in signal(7); 9 is SIGKILL.</param>
    public static void SignalResource(this DistributedApplication app, string resourceName, int signal)
    {
        ArgumentNullException.ThrowIfNull(app);
        foreach (var supervisor in app.Runner.FindSupervisors(resourceName))
            supervisor.Signal(signal);
    }

    /// <summary>Kills a resource's process with SIGKILL; it is started again after the usual delay. Local flavour only.</summary>
    public static void KillResource(this DistributedApplication app, string resourceName) => app.SignalResource(resourceName, Signals.Kill);

    /// <summary>Stops a resource properly; it stays stopped until <see cref="StartResourceAsync"/>. Local flavour only.</summary>
    public static Task StopResourceAsync(this DistributedApplication app, string resourceName)
    {
        ArgumentNullException.ThrowIfNull(app);
        return Task.WhenAll(app.Runner.FindSupervisors(resourceName).Select(supervisor => supervisor.StopAsync()));
    }

    /// <summary>Starts a resource that was stopped, or that waits for an explicit start; does not wait for health. Local flavour only.</summary>
    public static Task StartResourceAsync(this DistributedApplication app, string resourceName)
    {
        ArgumentNullException.ThrowIfNull(app);
        return Task.WhenAll(app.Runner.FindSupervisors(resourceName).Select(supervisor => supervisor.StartAsync()));
    }
}
