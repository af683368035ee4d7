using CrowNest.AppHost;

// The diagram of the system: which processes and backing services there are, who finds whom, who waits for whom.
try
{
    var builder = DistributedApplication.CreateBuilder(StackBuilder.OptionsOf(args));
    using var stack = builder.AddStack();

    var postgres = builder.AddPostgres("postgres", password: stack.Secret("postgres-password"), port: stack.Port("POSTGRES", 8790))
        .WithBackingImage("postgres", "17", stack)
        .WithDataBindMount(stack.Folder("postgres"))
        .WithUnixSocket(stack);
    var database = postgres.AddDatabase("crownest");

    var redis = builder.AddRedis("redis", stack.Port("REDIS", 8791), stack.Secret("redis-password"))
        .WithBackingImage("redis", "8", stack)
        .WithUnixSocket(stack);

    var objects = builder.AddObjectStorage("objects", stack);

    var secret = stack.Secret("deployment-secret");

    var api = builder.AddService<Projects.CrowNest_Api>("api", stack.Port("API", 8787), stack.ListenAddress)
        .WithReference(database).WaitFor(database)
        .WithReference(redis).WaitFor(redis)
        .WithObjectStorage(objects)
        .WithEnvironment("CrowNest__DeploymentSecret", secret)
        .WithEnvironment("CrowNest__StateDirectory", stack.Folder("api"));

    // The API owns the migrations, so a healthy API means that the worker's tables are there.
    var worker = builder.AddService<Projects.CrowNest_Worker>("worker", stack.Port("WORKER", 8789))
        .WithReference(database)
        .WithReference(redis)
        .WithObjectStorage(objects)
        .WaitFor(api)
        .WithEnvironment("CrowNest__DeploymentSecret", secret)
        .WithEnvironment("CrowNest__StateDirectory", stack.Folder("node"))
        .WithEnvironment("Worker__AgentDirectory", stack.AgentDirectory);
    worker.WithEnvironment("Worker__AdvertisedUrl", worker.GetEndpoint("http"))
        .WithSettings("Worker").WithSettings("Objects");

    var dashboard = builder.AddService<Projects.CrowNest_Dashboard>("dashboard", stack.Port("DASHBOARD", 8788), stack.ListenAddress)
        .WithReference(api).WaitFor(api)
        .WithEnvironment("CrowNest__DeploymentSecret", secret)
        .WithEnvironment("CrowNest__StateDirectory", stack.Folder("dashboard"))
        .WithSettings("Dashboard");

    api.WithEnvironment("Api__DashboardUrl", dashboard.GetEndpoint("http"))
        .WithSettings("Api").WithSettings("Objects").WithSettings("CROWNEST_BOOTSTRAP_API_KEY");

    await builder.Build().RunAsync();
    return 0;
}
catch (DistributedApplicationException exception)
{
    Console.Error.WriteLine($"CrowNest cannot start. {exception.Message}");
    return 1;
}
