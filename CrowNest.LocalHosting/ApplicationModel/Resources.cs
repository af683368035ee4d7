namespace Aspire.Hosting.ApplicationModel;

/// <summary>A part of the application: a process, a database in one, a value.</summary>
public interface IResource
{
    /// <summary>Unique in the model; prefixes the resource's log lines and names its environment variables.</summary>
    string Name { get; }

    /// <summary>What the model says about the resource beyond its type.</summary>
    IList<IResourceAnnotation> Annotations { get; }
}

/// <summary>Something the model says about a resource.</summary>
public interface IResourceAnnotation;

/// <summary>A resource that takes environment variables.</summary>
public interface IResourceWithEnvironment : IResource;

/// <summary>A resource that takes command line arguments.</summary>
public interface IResourceWithArgs : IResource;

/// <summary>A resource that listens on endpoints.</summary>
public interface IResourceWithEndpoints : IResource;

/// <summary>A resource others find by name (<c>services__name__http__0</c>).</summary>
public interface IResourceWithServiceDiscovery : IResourceWithEndpoints;

/// <summary>A resource whose start can wait for others.</summary>
public interface IResourceWithWaitSupport : IResource;

/// <summary>A resource that lives inside another one.</summary>
public interface IResourceWithParent : IResource
{
    /// <summary>The resource it lives in.</summary>
    IResource Parent { get; }
}

/// <summary>A resource reached through a connection string (<c>ConnectionStrings__name</c>).</summary>
public interface IResourceWithConnectionString : IResource, IValueProvider
{
    /// <summary>The connection string, resolved when it is used.</summary>
    ReferenceExpression ConnectionStringExpression { get; }

    /// <summary>The connection string as it is now.</summary>
    ValueTask<string?> GetConnectionStringAsync(CancellationToken cancellationToken = default) =>
        ConnectionStringExpression.GetValueAsync(cancellationToken);
}

/// <summary>Common to all resources.</summary>
public abstract class Resource : IResource
{
    /// <param name="name">ASCII letters, digits and single hyphens, starting with a letter, at most 64 characters.</param>
    protected Resource(string name)
    {
        ResourceName.Validate(name);
        Name = name;
    }

    /// <inheritdoc />
    public string Name { get; }

    /// <inheritdoc />
    public IList<IResourceAnnotation> Annotations { get; } = [];
}

/// <summary>A .NET project of the solution, started from its build output.</summary>
public class ProjectResource(string name)
    : Resource(name), IResourceWithEnvironment, IResourceWithArgs, IResourceWithServiceDiscovery, IResourceWithWaitSupport;

/// <summary>Any program.</summary>
public class ExecutableResource(string name, string command, string workingDirectory)
    : Resource(name), IResourceWithEnvironment, IResourceWithArgs, IResourceWithEndpoints, IResourceWithWaitSupport
{
    /// <summary>A path, or a name that is looked up in PATH.</summary>
    public string Command { get; } = command;

    /// <summary>Absolute folder the program starts in.</summary>
    public string WorkingDirectory { get; } = workingDirectory;
}

/// <summary>A container image. The local flavour compiles it and refuses to start it, unless the type has a stand-in.</summary>
public class ContainerResource(string name)
    : Resource(name), IResourceWithEnvironment, IResourceWithArgs, IResourceWithEndpoints, IResourceWithWaitSupport;

/// <summary>A folder, made before anything starts.</summary>
public sealed class FolderResource(string name, string path) : Resource(name)
{
    /// <summary>Absolute path.</summary>
    public string Path { get; } = path;
}

/// <summary>A Postgres server; locally a process of the installed Postgres.</summary>
public class PostgresServerResource : ContainerResource, IResourceWithConnectionString
{
    internal PostgresServerResource(string name, ParameterResource? userName, ParameterResource password) : base(name)
    {
        UserNameParameter = userName;
        PasswordParameter = password;
        PrimaryEndpoint = new EndpointReference(this, "tcp");
    }

    /// <summary>The superuser's name; <c>postgres</c> without it.</summary>
    public ParameterResource? UserNameParameter { get; }

    /// <summary>The superuser's password.</summary>
    public ParameterResource PasswordParameter { get; }

    /// <summary>Where the server listens.</summary>
    public EndpointReference PrimaryEndpoint { get; }

    internal List<PostgresDatabaseResource> Databases { get; } = [];

    internal async ValueTask<string> GetUserNameAsync(CancellationToken cancellationToken) =>
        UserNameParameter is null ? "postgres" : await UserNameParameter.GetValueAsync(cancellationToken) ?? "postgres";

    /// <inheritdoc />
    public ReferenceExpression ConnectionStringExpression => UserNameParameter is null
        ? ReferenceExpression.Create(
            $"Host={Endpoint(EndpointProperty.IPV4Host)};Port={Endpoint(EndpointProperty.Port)};Username=postgres;Password={PasswordParameter}")
        : ReferenceExpression.Create(
            $"Host={Endpoint(EndpointProperty.IPV4Host)};Port={Endpoint(EndpointProperty.Port)};Username={UserNameParameter};Password={PasswordParameter}");

    /// <inheritdoc />
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        ConnectionStringExpression.GetValueAsync(cancellationToken);

    private EndpointReferenceExpression Endpoint(EndpointProperty property) => PrimaryEndpoint.Property(property);
}

/// <summary>A database of a Postgres server, created when it is missing.</summary>
public class PostgresDatabaseResource(string name, string databaseName, PostgresServerResource parent)
    : Resource(name), IResourceWithConnectionString, IResourceWithParent
{
    /// <summary>The name inside the server.</summary>
    public string DatabaseName { get; } = databaseName;

    /// <summary>The server.</summary>
    public PostgresServerResource Parent { get; } = parent;

    IResource IResourceWithParent.Parent => Parent;

    /// <inheritdoc />
    public ReferenceExpression ConnectionStringExpression => ReferenceExpression.Create($"{Parent};Database={DatabaseName}");

    /// <inheritdoc />
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        ConnectionStringExpression.GetValueAsync(cancellationToken);
}

/// <summary>A Redis server; locally a process of the installed Redis.</summary>
public class RedisResource : ContainerResource, IResourceWithConnectionString
{
    internal RedisResource(string name, ParameterResource password) : base(name)
    {
        PasswordParameter = password;
        PrimaryEndpoint = new EndpointReference(this, "tcp");
    }

    /// <summary>The password every client gives.</summary>
    public ParameterResource PasswordParameter { get; }

    /// <summary>Where the server listens.</summary>
    public EndpointReference PrimaryEndpoint { get; }

    /// <inheritdoc />
    public ReferenceExpression ConnectionStringExpression =>
        ReferenceExpression.Create($"{PrimaryEndpoint.Property(EndpointProperty.HostAndPort)},password={PasswordParameter}");

    /// <inheritdoc />
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        ConnectionStringExpression.GetValueAsync(cancellationToken);
}
