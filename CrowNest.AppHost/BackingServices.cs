namespace CrowNest.AppHost;

/// <summary>How Postgres and Redis run here: images of one name each, and sockets in the state folder.</summary>
internal static class BackingServices
{
    // Of a socket's address in Linux, with the zero at its end.
    private const int MaxSocketPathLength = 107;

    /// <summary>
    /// The image that <c>eng/images.sh</c> has pulled or built, under one name for both: the model need not know where it comes from. Its port is
    /// published as it is, for people; a proxy of Aspire's would only make it slower.
    /// </summary>
    public static IResourceBuilder<TContainer> WithBackingImage<TContainer>(
        this IResourceBuilder<TContainer> container, string name, string tag, Stack stack)
        where TContainer : ContainerResource => container
        .WithImage($"crownest/{name}", tag)
        .WithImageRegistry(null)
        .WithEndpointProxySupport(false)
        .WithContainerRuntimeArgs("--label", $"{Leftovers.Label}={stack.State.Path}");

    /// <summary>
    /// Lets the services reach Postgres through its unix socket: as fast as a local process, while the engine's port proxy doubles the time of a
    /// query (docs/decisions/apphost.md).
    /// </summary>
    public static IResourceBuilder<PostgresServerResource> WithUnixSocket(this IResourceBuilder<PostgresServerResource> postgres, Stack stack)
    {
        if (postgres.ApplicationBuilder.ExecutionContext.IsPublishMode)
            return postgres;
        var folder = SocketFolder(stack, postgres.Resource.Name, ".s.PGSQL.5432");
        return postgres
            .WithBindMount(folder, "/var/run/postgresql")
            .WithConnectionStringRedirection(new SocketConnection(
                $"{postgres.Resource.Name}-socket",
                ReferenceExpression.Create($"Host={folder};Username={postgres.Resource.UserNameReference};Password={postgres.Resource.PasswordParameter}")));
    }

    /// <summary>As <see cref="WithUnixSocket(IResourceBuilder{PostgresServerResource}, Stack)"/>, for Redis.</summary>
    public static IResourceBuilder<RedisResource> WithUnixSocket(this IResourceBuilder<RedisResource> redis, Stack stack)
    {
        if (redis.ApplicationBuilder.ExecutionContext.IsPublishMode)
            return redis;
        const string socket = "redis.sock";
        var folder = SocketFolder(stack, redis.Resource.Name, socket);
        return redis
            .WithBindMount(folder, "/var/run/redis")
            .WithArgs(context =>
            {
                // Aspire makes one `sh -c` of these. Without exec, the shell is process 1, takes no notice of SIGTERM, and each stop waits
                // 10 s for the engine to kill it.
                var program = context.Args.IndexOf("redis-server");
                if (program >= 0)
                    context.Args[program] = "exec redis-server";
                foreach (var word in (string[])["--unixsocket", $"/var/run/redis/{socket}", "--unixsocketperm", "777"])
                    context.Args.Add(word);
            })
            .WithConnectionStringRedirection(new SocketConnection(
                $"{redis.Resource.Name}-socket",
                ReferenceExpression.Create($"!{Path.Combine(folder, socket)},password={redis.Resource.PasswordParameter!}")));
    }

    /// <summary>
    /// A folder for the socket of one container. The server in it is a user whom the host does not know, so the folder is open to everybody, in
    /// one that is open to its owner alone.
    /// </summary>
    /// <exception cref="DistributedApplicationException">The socket's path is longer than the system takes.</exception>
    private static string SocketFolder(Stack stack, string name, string socket)
    {
        var folder = Path.Combine(stack.Folder("sockets"), name);
        if (Path.Combine(folder, socket).Length > MaxSocketPathLength)
        {
            throw new DistributedApplicationException(
                $"The state folder {stack.State.Path} has too long a path for the sockets in it. Set CROWNEST_STATE_DIRECTORY to a shorter one.");
        }
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        const UnixFileMode everybody = owner | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
            | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        Directory.CreateDirectory(stack.Folder("sockets"), owner);
        Directory.CreateDirectory(folder);
        // Not with the creation: the umask would take its share.
        File.SetUnixFileMode(folder, everybody);
        return folder;
    }

    private sealed class SocketConnection(string name, ReferenceExpression connectionString) : Resource(name), IResourceWithConnectionString
    {
        public ReferenceExpression ConnectionStringExpression => connectionString;
    }
}
