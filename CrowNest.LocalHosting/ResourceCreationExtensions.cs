using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>The kinds of resources a model can have.</summary>
public static class ResourceCreationExtensions
{
    // Never punctuation: the value goes into connection strings and configuration files.
    private static readonly GenerateParameterDefault Password = new() { MinLength = 32, Special = false };

    /// <summary>Adds a project of the solution.</summary>
    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, string name)
        where TProject : IProjectMetadata, new() =>
        builder.AddResource(new ProjectResource(name)).Annotate(new ProjectAnnotation(new TProject()));

    /// <summary>Runs several processes of a project, each on ports of its own; not possible with a fixed port.</summary>
    public static IResourceBuilder<ProjectResource> WithReplicas(this IResourceBuilder<ProjectResource> builder, int replicas)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        return builder.Annotate(new ReplicaAnnotation(replicas));
    }

    /// <summary>Adds a program.</summary>
    /// <param name="builder">The model.</param>
    /// <param name="name">Name of the resource.</param>
    /// <param name="command">A name in PATH, an absolute path, or a path relative to the working directory when it has a slash.</param>
    /// <param name="workingDirectory">Relative to the AppHost's folder.</param>
    /// <param name="args">Command line.</param>
    public static IResourceBuilder<ExecutableResource> AddExecutable(
        this IDistributedApplicationBuilder builder, string name, string command, string workingDirectory, params string[]? args)
    {
        var folder = Path.GetFullPath(Path.Combine(builder.AppHostDirectory, workingDirectory));
        var program = command.Contains('/') ? Path.GetFullPath(Path.Combine(folder, command)) : command;
        return builder.AddResource(new ExecutableResource(name, program, folder)).WithArgs(args ?? []);
    }

    /// <summary>Adds a container. It compiles; starting the application refuses it.</summary>
    public static IResourceBuilder<ContainerResource> AddContainer(this IDistributedApplicationBuilder builder, string name, string image) =>
        builder.AddContainer(name, image, "latest");

    /// <summary>Adds a container. It compiles; starting the application refuses it.</summary>
    public static IResourceBuilder<ContainerResource> AddContainer(
        this IDistributedApplicationBuilder builder, string name, string image, string tag) =>
        builder.AddResource(new ContainerResource(name)).Annotate(new ImageAnnotation(image, tag));

    /// <summary>A volume of a container; without effect, since the local flavour starts none.</summary>
    public static IResourceBuilder<T> WithVolume<T>(this IResourceBuilder<T> builder, string? name, string target, bool isReadOnly = false)
        where T : ContainerResource
    {
        _ = (name, target, isReadOnly);
        return builder;
    }

    /// <summary>The lifetime of a container; without effect: locally the data stays and the processes end, always.</summary>
    public static IResourceBuilder<T> WithLifetime<T>(this IResourceBuilder<T> builder, ContainerLifetime lifetime) where T : ContainerResource
    {
        _ = lifetime;
        return builder;
    }

    /// <summary>Adds a folder that is there before anything starts.</summary>
    /// <param name="builder">The model.</param>
    /// <param name="name">Name of the resource.</param>
    /// <param name="path">Absolute; by default a folder of that name in the state folder.</param>
    public static IResourceBuilder<FolderResource> AddFolder(this IDistributedApplicationBuilder builder, string name, string? path = null) =>
        builder.AddResource(new FolderResource(name, path ?? builder.Local().State.Combine(name)));

    /// <summary>Adds a parameter whose value the configuration must give (<c>Parameters__name</c>).</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(this IDistributedApplicationBuilder builder, string name, bool secret = false) =>
        builder.AddResource(new ParameterResource(name, _ => builder.ConfiguredValue(name) ?? throw new DistributedApplicationException(
            $"Parameter `{name}` has no value. Set the environment variable Parameters__{name.Replace('-', '_')}."), secret));

    /// <summary>Adds a parameter with a value that the configuration may replace.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, string value, bool publishValueAsDefault = false, bool secret = false) =>
        builder.AddParameter(name, () => value, publishValueAsDefault, secret);

    /// <summary>Adds a parameter with a value that the configuration may replace.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder,
        string name,
        Func<string> valueGetter,
        bool publishValueAsDefault = false,
        bool secret = false)
    {
        _ = publishValueAsDefault;
        return builder.AddResource(new ParameterResource(name, _ => builder.ConfiguredValue(name) ?? valueGetter(), secret));
    }

    /// <summary>Adds a parameter with a default, which is kept in the state folder (<c>secrets/name</c>) when it is to persist.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, ParameterDefault value, bool secret = false, bool persist = false) =>
        builder.AddResource(builder.DefaultedParameter(name, value, secret, persist));

    /// <summary>Adds a Postgres server. Its data stays in the state folder.</summary>
    public static IResourceBuilder<PostgresServerResource> AddPostgres(
        this IDistributedApplicationBuilder builder,
        string name,
        IResourceBuilder<ParameterResource>? userName = null,
        IResourceBuilder<ParameterResource>? password = null,
        int? port = null)
    {
        var server = new PostgresServerResource(name, userName?.Resource, password?.Resource ?? builder.GeneratedPassword(name));
        return builder.AddResource(server).Annotate(new EndpointAnnotation("tcp", "tcp", port, environmentVariable: null));
    }

    /// <summary>Adds a database to a server; it is created when it is missing.</summary>
    public static IResourceBuilder<PostgresDatabaseResource> AddDatabase(
        this IResourceBuilder<PostgresServerResource> builder, string name, string? databaseName = null)
    {
        var database = new PostgresDatabaseResource(name, databaseName ?? name, builder.Resource);
        builder.Resource.Databases.Add(database);
        return builder.ApplicationBuilder.AddResource(database);
    }

    /// <summary>Adds a Redis server without persistence.</summary>
    public static IResourceBuilder<RedisResource> AddRedis(this IDistributedApplicationBuilder builder, string name, int? port) =>
        builder.AddRedis(name, port, password: null);

    /// <summary>Adds a Redis server without persistence.</summary>
    public static IResourceBuilder<RedisResource> AddRedis(
        this IDistributedApplicationBuilder builder, string name, int? port = null, IResourceBuilder<ParameterResource>? password = null)
    {
        var redis = new RedisResource(name, password?.Resource ?? builder.GeneratedPassword(name));
        return builder.AddResource(redis).Annotate(new EndpointAnnotation("tcp", "tcp", port, environmentVariable: null));
    }

    /// <summary>Keeps the data; without effect locally, where it is always kept in the state folder.</summary>
    public static IResourceBuilder<PostgresServerResource> WithDataVolume(
        this IResourceBuilder<PostgresServerResource> builder, string? name = null, bool isReadOnly = false)
    {
        RefuseReadOnly(isReadOnly);
        _ = name;
        return builder;
    }

    /// <summary>Keeps the server's folder; without effect locally, where Redis writes nothing into it.</summary>
    public static IResourceBuilder<RedisResource> WithDataVolume(
        this IResourceBuilder<RedisResource> builder, string? name = null, bool isReadOnly = false)
    {
        RefuseReadOnly(isReadOnly);
        _ = name;
        return builder;
    }

    /// <summary>Keeps the data in a folder, absolute or relative to the AppHost's.</summary>
    public static IResourceBuilder<PostgresServerResource> WithDataBindMount(
        this IResourceBuilder<PostgresServerResource> builder, string source, bool isReadOnly = false)
    {
        RefuseReadOnly(isReadOnly);
        return builder.Annotate(new DataFolderAnnotation(Path.GetFullPath(Path.Combine(builder.ApplicationBuilder.AppHostDirectory, source))));
    }

    /// <summary>Keeps the server's files in a folder, absolute or relative to the AppHost's.</summary>
    public static IResourceBuilder<RedisResource> WithDataBindMount(
        this IResourceBuilder<RedisResource> builder, string source, bool isReadOnly = false)
    {
        RefuseReadOnly(isReadOnly);
        return builder.Annotate(new DataFolderAnnotation(Path.GetFullPath(Path.Combine(builder.ApplicationBuilder.AppHostDirectory, source))));
    }

    private static void RefuseReadOnly(bool isReadOnly)
    {
        if (isReadOnly)
            throw new DistributedApplicationException("A server cannot run on data it may not write.");
    }

    private static ParameterResource GeneratedPassword(this IDistributedApplicationBuilder builder, string resourceName) =>
        builder.DefaultedParameter(resourceName + "-password", Password, secret: true, persist: true);

    private static ParameterResource DefaultedParameter(
        this IDistributedApplicationBuilder builder, string name, ParameterDefault value, bool secret, bool persist) =>
        new(
            name,
            fallback => builder.ConfiguredValue(name)
                ?? (persist ? builder.Local().State.GetOrCreateSecret(name, fallback!.GetDefaultValue) : fallback!.GetDefaultValue()),
            secret)
        { Default = value };

    // Shells cannot export names with a hyphen, so Parameters__deployment_secret counts too.
    private static string? ConfiguredValue(this IDistributedApplicationBuilder builder, string name) =>
        builder.Configuration[$"Parameters:{name}"] ?? builder.Configuration[$"Parameters:{name.Replace('-', '_')}"];
}
