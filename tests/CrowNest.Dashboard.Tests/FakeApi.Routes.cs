using System.Globalization;
using System.Text.Json;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace CrowNest.Dashboard.Tests;

/// <summary>The routes that the dashboard calls.</summary>
internal sealed partial class FakeApi
{
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
            var size = limit ?? 50;
            return Results.Json(new Page<Command>([.. all.Take(size)], all.Length > size, all.Length > size ? "c" : null));
        });
        v1.MapPost("/sandboxes/{id}/commands/start", (string id, RunCommandRequest body, HttpContext context) =>
        {
            var command = AddCommand(User(context), id, body.Command!, started => started with { Cwd = body.Cwd ?? Limits.Workspace });
            return Results.Json(new CommandResponse(command.Command), statusCode: 202);
        });
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
        MapFiles(app, v1);
        MapArtifacts(v1);
        MapRuns(v1);
    }

    private async Task<IResult> RedeemAsync(HttpContext context)
    {
        if (Bearer(context) != Secret)
            return Error(401, ErrorCodes.Unauthorized);
        var body = await context.Request.ReadFromJsonAsync<JsonElement>();
        Redemptions++;
        if (!_links.TryRemove(body.GetProperty("token").GetString()!, out var user))
            return Error(410, ErrorCodes.NotFound);
        return Results.Json(new { token = NewSession(user), expiresAt = DateTimeOffset.UtcNow.AddHours(12), user = new { id = "usr_1", name = user } });
    }

    private IResult ListSandboxes(HttpContext context, string? include, string? status, int? limit, string? cursor)
    {
        var all = Sandboxes.Values.Where(owned => owned.Owner == User(context)).Select(owned => owned.Sandbox)
            .Where(sandbox => include == "historical" || sandbox.Status is not (SandboxStatus.Destroyed or SandboxStatus.Failed))
            .Where(sandbox => status is null || sandbox.Status == status)
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
                    Type = CommandStreamEventType.Log,
                    Seq = chunk.Seq,
                    Stream = chunk.Stream,
                    Data = chunk.Data,
                    CreatedAt = chunk.CreatedAt,
                });
            }

            if (CommandStatus.IsFinal(command.Command.Status))
            {
                await SendAsync(new CommandStreamEvent
                {
                    Type = CommandStreamEventType.Terminal,
                    Command = command.Command,
                    CreatedAt = DateTimeOffset.UtcNow,
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
