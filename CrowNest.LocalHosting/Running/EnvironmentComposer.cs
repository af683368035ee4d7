using System.Globalization;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Running;

/// <summary>
/// What a process gets besides the AppHost's own environment, which it inherits: its addresses, and what the model gives it.
/// </summary>
internal sealed class EnvironmentComposer(LocalHostingOptions options, DistributedApplicationExecutionContext executionContext)
{
    // Set for the AppHost by its launch profile or by `dotnet run`; they would mean something else to a service.
    private static readonly string[] NotInherited =
    [
        "ASPNETCORE_URLS", "ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS", "HTTP_PORTS", "HTTPS_PORTS", "URLS", "DOTNET_LAUNCH_PROFILE",
        "ASPIRE_ALLOW_UNSECURED_TRANSPORT", "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL", "ASPIRE_RESOURCE_SERVICE_ENDPOINT_URL",
    ];

    public async Task<IReadOnlyDictionary<string, string?>> ComposeAsync(IResource resource, int replica, CancellationToken cancellationToken)
    {
        var environment = NotInherited.ToDictionary(name => name, _ => (string?)null);
        var endpoints = resource.Annotations.OfType<EndpointAnnotation>().ToList();
        foreach (var endpoint in endpoints.Where(endpoint => endpoint.EnvironmentVariable is not null))
            environment[endpoint.EnvironmentVariable!] = endpoint.AllocatedPort(replica).ToString(CultureInfo.InvariantCulture);
        if (resource is ProjectResource && endpoints.Count > 0)
            environment["ASPNETCORE_URLS"] = string.Join(';', endpoints.Select(endpoint => ListenUrl(endpoint, replica)));

        var variables = new Dictionary<string, object>();
        var context = new EnvironmentCallbackContext(executionContext, variables, cancellationToken);
        foreach (var annotation in resource.Annotations.OfType<EnvironmentAnnotation>())
            await annotation.Callback(context);
        foreach (var (name, value) in variables)
            environment[name] = await ResolveAsync(value, cancellationToken);
        return environment;
    }

    public static async Task<IReadOnlyList<string>> ResolveArgumentsAsync(IResource resource, CancellationToken cancellationToken)
    {
        var arguments = new List<string>();
        foreach (var argument in resource.Annotations.OfType<ArgumentsAnnotation>().SelectMany(annotation => annotation.Arguments))
            arguments.Add(await ResolveAsync(argument, cancellationToken) ?? "");
        return arguments;
    }

    private static async Task<string?> ResolveAsync(object value, CancellationToken cancellationToken) => value switch
    {
        IValueProvider provider => await provider.GetValueAsync(cancellationToken),
        IResourceBuilder<IResource> { Resource: IValueProvider provider } => await provider.GetValueAsync(cancellationToken),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture),
    };

    private string ListenUrl(EndpointAnnotation endpoint, int replica)
    {
        var address = endpoint.IsExternal ? options.ListenAddress : EndpointAnnotation.Loopback;
        return $"{endpoint.UriScheme}://{address}:{endpoint.AllocatedPort(replica).ToString(CultureInfo.InvariantCulture)}";
    }
}
