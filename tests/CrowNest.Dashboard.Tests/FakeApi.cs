using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace CrowNest.Dashboard.Tests;

/// <summary>
/// The public API's contract, as far as the dashboard speaks it, on a real Kestrel server: rows in memory, output that arrives when the
/// test says so, and every kind of bad day on demand.
/// </summary>
internal sealed class FakeApi : IAsyncDisposable
{
    public const string Secret = "a-deployment-secret-of-at-least-32-characters";

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, string> _sessions = new();
    private readonly ConcurrentDictionary<string, string> _links = new();

    private FakeApi(WebApplication app) => _app = app;

    public string Url => _app.Urls.Single();

    public ConcurrentDictionary<string, OwnedSandbox> Sandboxes { get; } = new();

    public ConcurrentDictionary<string, FakeCommand> Commands { get; } = new();

    /// <summary>Method, path and query, and owner of every call that carried a session.</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>While true every connection is dropped without an answer.</summary>
    public bool IsAway { get; set; }

    /// <summary>The next create is refused with this.</summary>
    public ErrorBody? RefuseCreate { get; set; }

    public int Redemptions { get; private set; }

    public static async Task<FakeApi> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.ConfigureHttpJsonOptions(options => CrowNestJson.Configure(options.SerializerOptions));
        var app = builder.Build();
        var api = new FakeApi(app);
        app.Use(async (context, next) =>
        {
            if (api.IsAway)
                context.Abort();
            else
                await next(context);
        });
        api.Map(app);
        await app.StartAsync();
        return api;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>A one-time link's token for a person.</summary>
    public string NewLink(string user)
    {
        var token = Ids.New("lnk");
        _links[token] = user;
        return token;
    }

    public bool IsLinkUnused(string token) => _links.ContainsKey(token);

    public int SessionsOf(string user) => _sessions.Values.Count(owner => owner == user);

    public void EndSessionsOf(string user)
    {
        foreach (var (token, owner) in _sessions)
        {
            if (owner == user)
                _sessions.TryRemove(token, out _);
        }
    }

    public Sandbox AddSandbox(string user, Func<Sandbox, Sandbox>? change = null)
    {
        var sandbox = new Sandbox
        {
            Id = Ids.New(Ids.Sandbox),
            OrgId = "org_1",
            ProjectId = "prj_default",
            Status = SandboxStatus.Idle,
            TemplateId = "tpl_python_node",
            TemplateSlug = "python-node",
            TemplateVersion = "2026-11-22",
            TemplateVersionId = "tplv_python_node_5c0ffee1",
            TtlMs = 900_000,
            ExpiresAt = DateTimeOffset.UtcNow.AddMinutes(13),
            Metadata = new Dictionary<string, string>(),
            CreatedAt = DateTimeOffset.UtcNow.AddMinutes(-2),
            Network = NetworkPolicy.None,
            Runtime = "runc",
            Resources = new SandboxResources(1, 1024),
        };
        sandbox = change?.Invoke(sandbox) ?? sandbox;
        Sandboxes[sandbox.Id] = new OwnedSandbox(user, sandbox);
        return sandbox;
    }

    public FakeCommand AddCommand(string user, string sandboxId, string line, Func<Command, Command>? change = null)
    {
        var command = new Command
        {
            Id = Ids.New(Ids.Command),
            SandboxId = sandboxId,
            CommandLine = line,
            Cwd = Limits.Workspace,
            Status = CommandStatus.Running,
            CreatedAt = DateTimeOffset.UtcNow,
            StartedAt = DateTimeOffset.UtcNow,
            CollectStatus = CollectStatus.NotRequested,
        };
        var fake = new FakeCommand(user, change?.Invoke(command) ?? command);
        Commands[command.Id] = fake;
        return fake;
    }

    private void Map(WebApplication app)
    {
        app.MapPost("/internal/sign-ins", (Delegate)RedeemAsync);
        app.MapDelete("/internal/sessions/current", (HttpContext context) =>
            _sessions.TryRemove(Bearer(context), out _) ? Results.Json(new { }) : Error(401, ErrorCodes.Unauthorized));
        var v1 = app.MapGroup("/v1");
        v1.AddEndpointFilter(async (context, next) =>
        {
            if (!_sessions.TryGetValue(Bearer(context.HttpContext), out var user))
                return Error(401, ErrorCodes.InvalidApiKey);
            context.HttpContext.Items["user"] = user;
            var request = context.HttpContext.Request;
            Calls.Enqueue($"{request.Method} {request.Path}{request.QueryString} {user}");
            return await next(context);
        });
        v1.MapGet("/projects", () => Results.Json(new Page<Project>(
            [new Project("prj_default", "org_1", "Default project", DateTimeOffset.UtcNow)], false)));
        v1.MapGet("/templates", () => Results.Json(new Page<Template>(
            [.. TemplateSlugs.All.Select(slug => new Template(
                TemplateSlugs.TemplateId(slug), slug, $"What {slug} brings along.",
                new TemplateVersion($"tplv_{slug.Replace('-', '_')}_1", "2026-11-22", DateTimeOffset.UtcNow)))],
            false)));
        v1.MapGet("/sandboxes", ListSandboxes);
        v1.MapPost("/sandboxes", Create);
        v1.MapGet("/sandboxes/{id}", (string id, HttpContext context) =>
            Find(context, id) is { } sandbox ? Results.Json(new SandboxResponse(sandbox)) : NotFound());
        v1.MapDelete("/sandboxes/{id}", (string id, HttpContext context) => Change(context, id, sandbox => sandbox with
        {
            Status = SandboxStatus.Destroyed,
            DestroyedAt = DateTimeOffset.UtcNow,
            DestroyedReason = DestroyedReason.UserKilled,
        }));
        v1.MapPost("/sandboxes/{id}/extend", (string id, ExtendSandboxRequest body, HttpContext context) => Change(context, id, sandbox =>
            sandbox with { TtlMs = body.TtlMs!.Value, ExpiresAt = DateTimeOffset.UtcNow.AddMilliseconds(body.TtlMs.Value) }));
        v1.MapGet("/sandboxes/{id}/commands", (string id, int? limit, HttpContext context) =>
        {
            var all = Commands.Values.Where(command => command.Owner == User(context) && command.Command.SandboxId == id)
                .Select(command => command.Command).OrderByDescending(command => command.CreatedAt).ToArray();
            return Results.Json(new Page<Command>([.. all.Take(limit ?? 50)], all.Length > (limit ?? 50), all.Length > (limit ?? 50) ? "c" : null));
        });
        v1.MapPost("/sandboxes/{id}/commands/start", (string id, RunCommandRequest body, HttpContext context) => Results.Json(
            new CommandResponse(AddCommand(User(context), id, body.Command!, command => command with { Cwd = body.Cwd ?? Limits.Workspace }).Command),
            statusCode: 202));
        v1.MapGet("/commands/{id}", (string id, HttpContext context) =>
            Command(context, id) is { } command ? Results.Json(new CommandResponse(command.Command)) : NotFound());
        v1.MapPost("/commands/{id}/cancel", (string id, CancelCommandRequest body, HttpContext context) =>
        {
            if (Command(context, id) is not { } command)
                return NotFound();
            command.End(current => current with
            {
                Status = CommandStatus.Canceled,
                CancelMode = body.Mode ?? CancelMode.Graceful,
                CanceledAt = DateTimeOffset.UtcNow,
                TerminationSignal = body.Mode == CancelMode.Force ? "SIGKILL" : "SIGTERM",
            });
            return Results.Json(new CommandResponse(command.Command));
        });
        v1.MapGet("/commands/{id}/logs", (string id, HttpContext context) => Command(context, id) is { } command
            ? Results.Json(new SeqPage<CommandLogChunk>([.. command.After(0).Take(1)], false))
            : NotFound());
        v1.MapGet("/commands/{id}/logs/download", (string id, HttpContext context) => Command(context, id) is { } command
            ? Results.Text(string.Concat(command.After(0).Select(chunk => chunk.Data)))
            : NotFound());
        v1.MapGet("/commands/{id}/stream", StreamAsync);
    }

    private async Task<IResult> RedeemAsync(HttpContext context)
    {
        if (Bearer(context) != Secret)
            return Error(401, ErrorCodes.Unauthorized);
        var body = await context.Request.ReadFromJsonAsync<JsonElement>();
        Redemptions++;
        if (!_links.TryRemove(body.GetProperty("token").GetString()!, out var user))
            return Error(410, ErrorCodes.NotFound);
        var token = Ids.New("ses");
        _sessions[token] = user;
        return Results.Json(new { token, expiresAt = DateTimeOffset.UtcNow.AddHours(12), user = new { id = "usr_1", name = user } });
    }

    private IResult ListSandboxes(HttpContext context, string? include, int? limit, string? cursor)
    {
        var all = Sandboxes.Values.Where(owned => owned.Owner == User(context)).Select(owned => owned.Sandbox)
            .Where(sandbox => include == "historical" || sandbox.Status is not (SandboxStatus.Destroyed or SandboxStatus.Failed))
            .OrderByDescending(sandbox => sandbox.CreatedAt).ToArray();
        var skip = cursor is null ? 0 : int.Parse(cursor, CultureInfo.InvariantCulture);
        var take = limit ?? 50;
        var hasMore = skip + take < all.Length;
        var next = hasMore ? (skip + take).ToString(CultureInfo.InvariantCulture) : null;
        return Results.Json(new Page<Sandbox>([.. all.Skip(skip).Take(take)], hasMore, next));
    }

    private IResult Create(CreateSandboxRequest body, HttpContext context)
    {
        if (RefuseCreate is { } refusal)
        {
            RefuseCreate = null;
            return Results.Json(new ErrorEnvelope(refusal), statusCode: 429);
        }

        var sandbox = AddSandbox(User(context), created => created with
        {
            Status = SandboxStatus.Ready,
            TemplateSlug = body.Template ?? TemplateSlugs.Default,
            TtlMs = body.TtlMs ?? 3_600_000,
            CreatedAt = DateTimeOffset.UtcNow,
            ExpiresAt = DateTimeOffset.UtcNow.AddMilliseconds(body.TtlMs ?? 3_600_000),
            Network = body.Network ?? NetworkPolicy.None,
        });
        return Results.Json(new SandboxResponse(sandbox), statusCode: 201);
    }

    private IResult Change(HttpContext context, string id, Func<Sandbox, Sandbox> change)
    {
        if (Find(context, id) is not { } sandbox)
            return NotFound();
        Sandboxes[id] = new OwnedSandbox(User(context), change(sandbox));
        return Results.Json(new SandboxResponse(Sandboxes[id].Sandbox));
    }

    private async Task<IResult?> StreamAsync(string id, long? afterSeq, HttpContext context)
    {
        if (Command(context, id) is not { } command)
            return NotFound();
        context.Response.ContentType = "text/event-stream";
        var position = afterSeq ?? 0;
        while (true)
        {
            var (changed, connection) = (command.Changed, command.Connection);
            foreach (var chunk in command.After(position))
            {
                position = chunk.Seq;
                await SendAsync(new CommandStreamEvent
                {
                    Type = CommandStreamEventType.Log, Seq = chunk.Seq, Stream = chunk.Stream, Data = chunk.Data, CreatedAt = chunk.CreatedAt,
                });
            }

            if (CommandStatus.IsFinal(command.Command.Status))
            {
                await SendAsync(new CommandStreamEvent
                {
                    Type = CommandStreamEventType.Terminal, Command = command.Command, CreatedAt = DateTimeOffset.UtcNow,
                });
                return Results.Empty;
            }

            await Task.WhenAny(changed, connection).WaitAsync(context.RequestAborted);
            if (connection.IsCompleted)
            {
                context.Abort();
                return Results.Empty;
            }
        }

        async Task SendAsync(CommandStreamEvent sent)
        {
            await context.Response.WriteAsync($"event: {sent.Type}\ndata: {JsonSerializer.Serialize(sent, CrowNestJson.Options)}\n\n");
            await context.Response.Body.FlushAsync();
        }
    }

    private Sandbox? Find(HttpContext context, string id) =>
        Sandboxes.TryGetValue(id, out var owned) && owned.Owner == User(context) ? owned.Sandbox : null;

    private FakeCommand? Command(HttpContext context, string id) =>
        Commands.TryGetValue(id, out var command) && command.Owner == User(context) ? command : null;

    private static string User(HttpContext context) => (string)context.Items["user"]!;

    private static string Bearer(HttpContext context) =>
        context.Request.Headers.Authorization.ToString().Replace("Bearer ", "", StringComparison.Ordinal);

    private static IResult NotFound() => Error(404, ErrorCodes.NotFound);

    private static IResult Error(int status, string code) =>
        Results.Json(new ErrorEnvelope(new ErrorBody(code, $"The test says {code}.")), statusCode: status);
}

internal sealed record OwnedSandbox(string Owner, Sandbox Sandbox);
