using System.Reflection;
using CrowNest.Agent.Commands;
using CrowNest.Agent.Files;
using CrowNest.Agent.Http;
using CrowNest.Agent.Processes;

namespace CrowNest.Agent;

/// <summary>Puts the agent together: Kestrel on the unix socket, the reactor, the reaper, the routes.</summary>
internal static class AgentHost
{
    private const long MaxRequestBytes = 8 * 1024 * 1024;

    /// <summary>All there will ever be. Handlers never block but for the moment of a vfork.</summary>
    private const int PoolThreads = 4;

    private static readonly string s_version =
        typeof(AgentHost).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    internal static WebApplication Build(AgentOptions options)
    {
        ThreadPool.SetMinThreads(PoolThreads, 1);
        ThreadPool.SetMaxThreads(PoolThreads, 1);
        var children = new ChildProcesses();
        var reactor = new Reactor();
        var workspace = Workspace.Open(options.Workspace);
        var fileThreads = new FileThreads(options.Uid, options.Gid);
        var commands = new CommandTable(options, children, reactor, TimeProvider.System);

        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.AddProvider(new StderrLoggerProvider());
        builder.Services.AddRoutingCore();
        // Handlers do not block, so nothing is gained by another hop between threads.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenUnixSocket(options.Socket);
            kestrel.Limits.MaxRequestBodySize = MaxRequestBytes;
            // The longest path has three characters for each of its bytes when it is encoded.
            kestrel.Limits.MaxRequestLineSize = 4 * FileCalls.MaxPath;
            // A client that stalls is a matter of the output window, not of a data rate.
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            // Only the worker connects. Not infinite: that overflows and closes idle connections at the next heartbeat.
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromDays(1);
        });

        var app = builder.Build();
        app.UseMiddleware<ErrorAnswers>();
        var idle = new IdleMemory(TimeProvider.System);
        app.Use((http, next) => http.Request.Path.StartsWithSegments("/files") ? idle.RunAsync(() => next(http)) : next(http));
        app.UseRouting();
        app.MapGet("/health", http => http.AnswerAsync(
            200, new Health(s_version, commands.SandboxId, commands.RunningCount), Wire.Default.Health));
        app.MapPost("/claim", http => ClaimAsync(http, commands));
        app.MapCommands(commands, options);
        app.MapFiles(workspace, fileThreads);
        app.MapFallback(http => http.AnswerAsync(AgentError.NotFound($"no route {http.Request.Method} {http.Request.Path}")));

        fileThreads.Start();
        reactor.Start();
        children.Start();
        var termination = AgentProcess.ExitOnTermination(options.Socket, children);
        app.Lifetime.ApplicationStopped.Register(termination.Dispose);
        app.Lifetime.ApplicationStopped.Register(idle.Dispose);
        return app;
    }

    private static async Task ClaimAsync(HttpContext http, CommandTable commands)
    {
        var request = await http.ReadAsync(Wire.Default.ClaimRequest);
        if (string.IsNullOrWhiteSpace(request.SandboxId))
            throw new AgentException(AgentError.InvalidRequest("sandboxId must not be blank"));
        CommandEnvironment.Check(request.Environment);
        commands.Claim(request.SandboxId, request.Environment);
        await http.AnswerAsync(200, new ClaimAnswer(request.SandboxId), Wire.Default.ClaimAnswer);
    }
}
