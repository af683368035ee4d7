using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>Endpoints, environment, order and health of resources.</summary>
public static class ResourceBuilderExtensions
{
    /// <summary>Sets a variable; null becomes empty.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, string name, string? value)
        where T : IResourceWithEnvironment => builder.WithVariable(name, value ?? "");

    /// <summary>Sets a variable to an endpoint's URL.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, string name, EndpointReference endpointReference)
        where T : IResourceWithEnvironment => builder.WithVariable(name, endpointReference);

    /// <summary>Sets a variable to a parameter's value.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(
        this IResourceBuilder<T> builder, string name, IResourceBuilder<ParameterResource> parameter)
        where T : IResourceWithEnvironment => builder.WithVariable(name, parameter.Resource);

    /// <summary>Sets a variable to a connection string.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(
        this IResourceBuilder<T> builder, string envVarName, IResourceBuilder<IResourceWithConnectionString> resource)
        where T : IResourceWithEnvironment => builder.WithVariable(envVarName, resource.Resource);

    /// <summary>Sets a variable to text with values that are known at start.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, string name, ReferenceExpression value)
        where T : IResourceWithEnvironment => builder.WithVariable(name, value);

    /// <summary>Sets a variable to what the callback returns at each start.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, string name, Func<string> callback)
        where T : IResourceWithEnvironment => builder.WithEnvironment(context => context.EnvironmentVariables[name] = callback());

    /// <summary>Sets variables at each start.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, Action<EnvironmentCallbackContext> callback)
        where T : IResourceWithEnvironment => builder.Annotate(new EnvironmentAnnotation(context =>
        {
            callback(context);
            return Task.CompletedTask;
        }));

    /// <summary>Sets variables at each start.</summary>
    public static IResourceBuilder<T> WithEnvironment<T>(this IResourceBuilder<T> builder, Func<EnvironmentCallbackContext, Task> callback)
        where T : IResourceWithEnvironment => builder.Annotate(new EnvironmentAnnotation(callback));

    /// <summary>Gives the connection string of another resource as <c>ConnectionStrings__name</c>.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder,
        IResourceBuilder<IResourceWithConnectionString> source,
        string? connectionName = null,
        bool optional = false)
        where TDestination : IResourceWithEnvironment => builder.WithEnvironment(async context =>
        {
            var value = await source.Resource.GetConnectionStringAsync(context.CancellationToken);
            if (value is not null)
                context.EnvironmentVariables["ConnectionStrings__" + (connectionName ?? source.Resource.Name)] = value;
            else if (!optional)
                throw new DistributedApplicationException($"`{source.Resource.Name}` has no connection string.");
        });

    /// <summary>Gives the endpoints of another resource as <c>services__name__http__0</c> and <c>NAME_HTTP</c>.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source)
        where TDestination : IResourceWithEnvironment => builder.WithEnvironment(context =>
        {
            foreach (var endpoint in source.Resource.Annotations.OfType<EndpointAnnotation>())
                AddService(context, source.Resource, endpoint);
        });

    /// <summary>Gives one endpoint of another resource as <c>services__name__http__0</c> and <c>NAME_HTTP</c>.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, EndpointReference endpointReference)
        where TDestination : IResourceWithEnvironment => builder.WithEnvironment(context =>
            AddService(context, endpointReference.Resource, FindEndpoint(endpointReference.Resource, endpointReference.EndpointName)));

    /// <summary>Gives the address of something outside of the model as <c>services__name__default__0</c>.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(this IResourceBuilder<TDestination> builder, string name, Uri uri)
        where TDestination : IResourceWithEnvironment => builder.WithVariable($"services__{name}__default__0", uri.ToString());

    /// <summary>
    /// Declares an endpoint. The process is told by <c>ASPNETCORE_URLS</c> (projects) and by the variable <paramref name="env"/>.
    /// </summary>
    /// <param name="builder">The resource.</param>
    /// <param name="port">The port clients use; locally also the one the process listens on. A free one when both ports are left out.</param>
    /// <param name="targetPort">The port the process listens on; locally used when <paramref name="port"/> is left out.</param>
    /// <param name="name">Default <c>http</c>.</param>
    /// <param name="env">A variable that gets the port.</param>
    /// <param name="isProxied">Without effect: the local flavour has no proxy.</param>
    public static IResourceBuilder<T> WithHttpEndpoint<T>(
        this IResourceBuilder<T> builder,
        int? port = null,
        int? targetPort = null,
        string? name = null,
        string? env = null,
        bool? isProxied = null)
        where T : IResourceWithEndpoints
    {
        _ = isProxied;
        name ??= "http";
        if (builder.Resource.Annotations.OfType<EndpointAnnotation>().Any(endpoint => endpoint.Name == name))
            throw new DistributedApplicationException($"`{builder.Resource.Name}` has two endpoints named `{name}`.");
        return builder.Annotate(new EndpointAnnotation(name, "http", port ?? targetPort, env));
    }

    /// <summary>Opens the endpoints declared so far to other machines: they listen on <c>CROWNEST_LISTEN_ADDRESS</c>, default loopback.</summary>
    public static IResourceBuilder<T> WithExternalHttpEndpoints<T>(this IResourceBuilder<T> builder) where T : IResourceWithEndpoints
    {
        foreach (var endpoint in builder.Resource.Annotations.OfType<EndpointAnnotation>())
            endpoint.IsExternal = true;
        return builder;
    }

    /// <summary>A reference to an endpoint, which may be declared later.</summary>
    public static EndpointReference GetEndpoint<T>(this IResourceBuilder<T> builder, string name) where T : IResourceWithEndpoints =>
        new(builder.Resource, name);

    /// <summary>Healthy means: this path answers with this status.</summary>
    public static IResourceBuilder<T> WithHttpHealthCheck<T>(
        this IResourceBuilder<T> builder, string? path = null, int? statusCode = null, string? endpointName = null)
        where T : IResourceWithEndpoints => builder.Annotate(new HttpHealthAnnotation(path ?? "/", statusCode ?? 200, endpointName));

    /// <summary>Starts this resource once the other one is running and healthy, and stops it before the other one.</summary>
    public static IResourceBuilder<T> WaitFor<T>(this IResourceBuilder<T> builder, IResourceBuilder<IResource> dependency)
        where T : IResourceWithWaitSupport => builder.Annotate(new WaitAnnotation(dependency.Resource, WaitKind.Healthy));

    /// <summary>Starts this resource once the process of the other one runs.</summary>
    public static IResourceBuilder<T> WaitForStart<T>(this IResourceBuilder<T> builder, IResourceBuilder<IResource> dependency)
        where T : IResourceWithWaitSupport => builder.Annotate(new WaitAnnotation(dependency.Resource, WaitKind.Started));

    /// <summary>Starts this resource once the other one has done its work.</summary>
    public static IResourceBuilder<T> WaitForCompletion<T>(
        this IResourceBuilder<T> builder, IResourceBuilder<IResource> dependency, int exitCode = 0)
        where T : IResourceWithWaitSupport => builder.Annotate(new WaitAnnotation(dependency.Resource, WaitKind.Completed, exitCode));

    /// <summary>Adds arguments to the command line.</summary>
    public static IResourceBuilder<T> WithArgs<T>(this IResourceBuilder<T> builder, params string[] args)
        where T : IResourceWithArgs => builder.Annotate(new ArgumentsAnnotation([.. args]));

    /// <summary>Adds arguments to the command line: text, or values that are known at start.</summary>
    public static IResourceBuilder<T> WithArgs<T>(this IResourceBuilder<T> builder, params object[] args)
        where T : IResourceWithArgs => builder.Annotate(new ArgumentsAnnotation(args));

    /// <summary>The resource waits until it is started by name.</summary>
    public static IResourceBuilder<T> WithExplicitStart<T>(this IResourceBuilder<T> builder) where T : IResource =>
        builder.Annotate(new ExplicitStartAnnotation());

    internal static IResourceBuilder<T> Annotate<T>(this IResourceBuilder<T> builder, IResourceAnnotation annotation) where T : IResource
    {
        builder.Resource.Annotations.Add(annotation);
        return builder;
    }

    private static IResourceBuilder<T> WithVariable<T>(this IResourceBuilder<T> builder, string name, object value)
        where T : IResourceWithEnvironment => builder.WithEnvironment(context => context.EnvironmentVariables[name] = value);

    private static EndpointAnnotation FindEndpoint(IResource resource, string name) =>
        resource.Annotations.OfType<EndpointAnnotation>().FirstOrDefault(endpoint => endpoint.Name == name)
        ?? throw new DistributedApplicationException($"`{resource.Name}` has no endpoint named `{name}`.");

    private static void AddService(EnvironmentCallbackContext context, IResource resource, EndpointAnnotation endpoint)
    {
        var replicas = resource.Annotations.OfType<ReplicaAnnotation>().LastOrDefault()?.Replicas ?? 1;
        for (var replica = 0; replica < replicas; replica++)
        {
            var url = $"{endpoint.UriScheme}://{EndpointAnnotation.Loopback}:{endpoint.AllocatedPort(replica)}";
            context.EnvironmentVariables[$"services__{resource.Name}__{endpoint.Name}__{replica}"] = url;
            context.EnvironmentVariables.TryAdd($"{ResourceName.ToVariable(resource.Name)}_{ResourceName.ToVariable(endpoint.Name)}", url);
        }
    }
}
