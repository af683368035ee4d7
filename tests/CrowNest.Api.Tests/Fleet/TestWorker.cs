using System.Collections.Concurrent;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Redis;
using CrowNest.Platform.Sandboxes;
using CrowNest.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using Npgsql;

namespace CrowNest.Api.Tests.Fleet;

/// <summary>
/// A node without containers: speaks docs/protocols.md 3 on a real port and writes rows and streams as the real one does. What a command
/// does is told by its text (<see cref="TestCommand"/>). Commands go on while its server is stopped, as those of a restarting worker do.
/// </summary>
internal sealed class TestWorker : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, TestCommand> _commands = new();
    private readonly NpgsqlDataSource _database;
    private readonly RedisConnection _redis;
    private readonly int _port = FreePort.Next();
    private WebApplication? _server;

    private TestWorker(string connectionString, string redis, string objectsDirectory)
    {
        _database = NpgsqlDataSource.Create(connectionString);
        _redis = RedisConnections.Open(redis);
        Sandboxes = new SandboxStore(_database);
        Commands = new CommandStore(_database);
        Writer = new CommandLogWriter(_redis);
        ObjectsDirectory = objectsDirectory;
        Files = new TestFiles(Path.Combine(objectsDirectory, ".workspaces"));
        Artifacts = new TestArtifacts(Files, new ArtifactStore(_database), objectsDirectory);
    }

    public string Id { get; } = Ids.New(Ids.Worker);

    public string Url => $"http://127.0.0.1:{_port}";

    public SandboxStore Sandboxes { get; }

    public CommandStore Commands { get; }

    public CommandLogWriter Writer { get; }

    public string ObjectsDirectory { get; }

    public TestFiles Files { get; }

    public TestArtifacts Artifacts { get; }

    /// <summary>Instead of making the sandbox; null: it is made. A result is the answer.</summary>
    public Func<StartSandbox, HttpContext, Task<IResult?>>? OnStart { get; set; }

    /// <summary>Instead of starting the command; null: it is started.</summary>
    public Func<StartCommand, HttpContext, Task<IResult?>>? OnCommand { get; set; }

    /// <summary>What it was asked to start, in order.</summary>
    public ConcurrentQueue<StartSandbox> Started { get; } = [];

    public ConcurrentQueue<StartCommand> Launched { get; } = [];

    /// <summary>Headers of the last request.</summary>
    public IHeaderDictionary LastHeaders { get; private set; } = new HeaderDictionary();

    public static async Task<TestWorker> StartAsync(TestDatabase database, string redis, params string[] versions)
    {
        var worker = new TestWorker(database.ConnectionString, redis, database.ObjectsDirectory);
        await worker.ListenAsync();
        await worker.RenewLeaseAsync(TimeSpan.FromMinutes(10));
        await worker.PublishAsync(versions.ToDictionary(v => v, _ => 1));
        return worker;
    }

    public Task RenewLeaseAsync(TimeSpan lease) =>
        new WorkerStore(_database).RenewLeaseAsync(Id, Url, "runc", DateTimeOffset.UtcNow, lease, CancellationToken.None);

    public Task PublishAsync(Dictionary<string, int> warm, int running = 0, int capacity = 10) =>
        new WorkerRegistry(_redis).PublishAsync(
            new WorkerSnapshot { WorkerId = Id, Url = Url, Running = running, Capacity = capacity, WarmByTemplateVersion = warm },
            TimeSpan.FromMinutes(10));

    public async Task ListenAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(Url);
        _server = builder.Build();
        _server.Use(async (context, next) =>
        {
            LastHeaders = new HeaderDictionary(new Dictionary<string, StringValues>(context.Request.Headers, StringComparer.OrdinalIgnoreCase));
            if (context.Request.Headers.Authorization != $"Bearer {ApiInstance.DeploymentSecret}")
            {
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                return;
            }

            await next(context);
        });
        _server.MapPost("/internal/sandboxes", StartSandboxAsync);
        _server.MapPost("/internal/sandboxes/{id}/reconcile", ReconcileAsync);
        _server.MapPost("/internal/commands", StartCommandAsync);
        _server.MapPost("/internal/commands/{id}/cancel", CancelCommandAsync);
        Files.Map(_server);
        Artifacts.Map(_server);
        await _server.StartAsync();
    }

    /// <summary>The process dies: connections break, nobody listens.</summary>
    public async Task StopListeningAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _server!.StopAsync(now.Token);
        await _server.DisposeAsync();
    }

    public TestCommand Command(string id) => _commands[id];

    public async Task DestroyAsync(string sandboxId)
    {
        if (await Sandboxes.MarkDestroyedAsync(sandboxId, DateTimeOffset.UtcNow, CancellationToken.None))
        {
            foreach (var command in _commands.Values.Where(c => c.Start.SandboxId == sandboxId))
            {
                await command.KilledAsync();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopListeningAsync();
        await _redis.DisposeAsync();
        await _database.DisposeAsync();
    }

    public static IResult Refuse(string code, string message, int status = 500) =>
        TypedResults.Json(new ErrorEnvelope(new ErrorBody(code, message)), CrowNestJson.Options, statusCode: status);

    private async Task<IResult> StartSandboxAsync(StartSandbox start, HttpContext context)
    {
        Started.Enqueue(start);
        if (OnStart is { } instead && await instead(start, context) is { } result)
        {
            return result;
        }

        if (!await Sandboxes.MarkStartingAsync(start.SandboxId, Id, CancellationToken.None)
            || !await Sandboxes.MarkReadyAsync(start.SandboxId, Id, "container", "runc", warm: true, DateTimeOffset.UtcNow, CancellationToken.None))
        {
            return Refuse(ErrorCodes.Conflict, "The sandbox is not to be made any more.", 409);
        }

        return TypedResults.Ok(new SandboxStarted("container", "runc", Warm: true, DateTimeOffset.UtcNow));
    }

    private async Task<IResult> ReconcileAsync(string id)
    {
        foreach (var due in await Sandboxes.TakeDueAsync(Id, DateTimeOffset.UtcNow, null, id, CancellationToken.None))
        {
            await DestroyAsync(due);
        }

        var row = await Sandboxes.FindAsync(id, CancellationToken.None);
        return TypedResults.Ok(new SandboxReconciled(row!.State));
    }

    private async Task<IResult> StartCommandAsync(StartCommand start, HttpContext context)
    {
        Launched.Enqueue(start);
        if (OnCommand is { } instead && await instead(start, context) is { } result)
        {
            return result;
        }

        var command = _commands.GetOrAdd(start.CommandId, _ => new TestCommand(this, start));
        await command.LaunchAsync();
        await Task.WhenAny(command.Ended, Task.Delay(TimeSpan.FromMilliseconds(start.WaitMs), context.RequestAborted));
        return TypedResults.Ok(new CommandOutcome((await Commands.FindAsync(start.CommandId, CancellationToken.None))!));
    }

    private async Task<IResult> CancelCommandAsync(string id, CancelCommand cancel)
    {
        if (!_commands.TryGetValue(id, out var command))
        {
            return Refuse(ErrorCodes.NotFound, "There is no such command.", 404);
        }

        await command.CancelAsync(cancel.Mode);
        return TypedResults.Ok(new CommandOutcome((await Commands.FindAsync(id, CancellationToken.None))!));
    }
}
