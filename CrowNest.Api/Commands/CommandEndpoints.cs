using System.Text.Json.Nodes;
using CrowNest.Api.Artifacts;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Maintenance;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Commands;

/// <summary>Commands (docs/reference/api.md 5).</summary>
internal static class CommandEndpoints
{
    private const string Tag = "Commands";

    /// <summary>The caller will need to read the command afterwards (docs/reference/api.md 5.2).</summary>
    private const string RequireCommandRead = "_crownestRequireCommandRead";

    private static readonly string[] WorkErrors =
    [
        ErrorCodes.ReservedEnvKey, ErrorCodes.PathOutsideWorkspace, ErrorCodes.PathNotDirectory, ErrorCodes.FileNotFound,
        ErrorCodes.SandboxDestroyed, ErrorCodes.Conflict,
    ];

    private static readonly QueryParameter AfterSeq = new("afterSeq", "integer", "Only what has a larger seq");

    public static IServiceCollection AddCommands(this IServiceCollection services)
    {
        services.AddSingleton<CommandDelivery>();
        services.AddSingleton<CommandRequests>();
        services.AddSingleton<CommandCancellation>();
        services.AddSingleton<CommandStreaming>();
        services.AddHostedService<LogRetentionSweeper>();
        return services;
    }

    public static void MapCommands(this RouteGroupBuilder v1)
    {
        v1.MapPost("/sandboxes/{sandboxId}/commands/run", RunAsync).RequireScope(Scopes.CommandRun).HonoursIdempotencyKey()
            .WithOperation("runCommand", Tag, "Run a command and wait for its end", o => o with
            {
                Body = typeof(RunCommandRequest),
                Response = typeof(CommandResponse),
                Errors = WorkErrors,
            });
        v1.MapPost("/sandboxes/{sandboxId}/commands/start", StartAsync).RequireScope(Scopes.CommandRun).HonoursIdempotencyKey()
            .WithOperation("startCommand", Tag, "Start a command", o => o with
            {
                Body = typeof(RunCommandRequest),
                Response = typeof(CommandResponse),
                Status = StatusCodes.Status202Accepted,
                Errors = WorkErrors,
            });
        v1.MapGet("/sandboxes/{sandboxId}/commands", ListAsync).RequireScope(Scopes.CommandRead)
            .WithOperation("listCommands", Tag, "List a sandbox's commands, newest first, without their output",
                o => o with { Response = typeof(Page<Command>), Paged = true });
        v1.MapGet("/commands/{commandId}", GetAsync).RequireScope(Scopes.CommandRead).ExemptFromRateLimit()
            .WithOperation("getCommand", Tag, "Get a command", o => o with { Response = typeof(CommandResponse) });
        v1.MapPost("/commands/{commandId}/cancel", CancelAsync).RequireScope(Scopes.CommandCancel)
            .WithOperation("cancelCommand", Tag, "Cancel a command and wait for its end", o => o with
            {
                Body = typeof(CancelCommandRequest),
                BodyOptional = true,
                Response = typeof(CommandResponse),
                Errors = [ErrorCodes.RuntimeError],
            });
        v1.MapGet("/commands/{commandId}/logs", CommandLogs.ListAsync).RequireScope(Scopes.CommandRead)
            .WithOperation("listCommandLogs", Tag, "List a command's output", o => o with
            {
                Response = typeof(SeqPage<CommandLogChunk>),
                Errors = [ErrorCodes.StreamGap],
                Query = [AfterSeq, new("limit", "integer", "1 to 500; default 100")],
            });
        v1.MapGet("/commands/{commandId}/stream", StreamAsync).RequireScope(Scopes.CommandRead).ExemptFromRateLimit()
            .WithOperation("streamCommandLogs", Tag, "Follow a command's output",
                o => o with { ContentType = "text/event-stream", Query = [AfterSeq], Errors = [ErrorCodes.StreamGap] });
        v1.MapPost("/commands/{commandId}/logs/download-url", CommandLogs.CreateDownloadUrlAsync).RequireScope(Scopes.CommandRead)
            .WithOperation("createCommandLogsDownloadUrl", Tag, "Make a link to a command's output as text",
                o => o with { Response = typeof(DownloadUrl) });
        v1.MapGet("/commands/{commandId}/logs/download", CommandLogs.DownloadAsync).RequireScope(Scopes.CommandRead).AllowSignedUrl()
            .WithOperation("downloadCommandLogs", Tag, "Get a command's output as text", o => o with { ContentType = "text/plain" });
    }

    private static async Task<IResult> RunAsync(
        string sandboxId, Caller caller, HttpContext context, CommandRequests execution, SandboxStore sandboxes,
        ArtifactCreation artifacts, CancellationToken cancellationToken)
    {
        Task<CommandRow> run;
        if (context.GetIdempotentResourceId() is { } earlier)
        {
            run = execution.ResumeRun(earlier);
        }
        else
        {
            var command = await ReadAsync(context, caller, sandboxId, sandboxes, r => CommandRules.CheckRun(r, artifacts.Bounds(caller)), cancellationToken);
            run = await execution.RunAsync(caller.Ownership, sandboxId, command, context.GetIdempotencyId(), cancellationToken);
        }

        return EarlyHeaders.Json(AnswerAsync());

        async Task<CommandResponse> AnswerAsync()
        {
            var row = await run;
            if (!context.Response.HasStarted)
            {
                ThrowIfCwdWasWrong(row);
            }

            return new CommandResponse(row.ToCommand());
        }
    }

    private static async Task<IResult> StartAsync(
        string sandboxId, Caller caller, HttpContext context, CommandRequests execution, SandboxStore sandboxes, IOptions<ApiOptions> options,
        CancellationToken cancellationToken)
    {
        CommandRow row;
        if (context.GetIdempotentResourceId() is { } earlier)
        {
            row = await execution.GetAsync(earlier, cancellationToken);
        }
        else
        {
            var ceiling = options.Value.Limits(caller.Plan).SessionMs;
            var command = await ReadAsync(context, caller, sandboxId, sandboxes, r => CommandRules.CheckStart(r, ceiling), cancellationToken);
            row = await execution.StartAsync(caller.Ownership, sandboxId, command, context.GetIdempotencyId(), cancellationToken);
        }

        ThrowIfCwdWasWrong(row);
        return TypedResults.Json(new CommandResponse(row.ToCommand()), CrowNestJson.Options, statusCode: StatusCodes.Status202Accepted);
    }

    private static async Task<Page<Command>> ListAsync(
        string sandboxId, Caller caller, HttpRequest request, SandboxStore sandboxes, CommandStore commands, CancellationToken cancellationToken)
    {
        _ = await sandboxes.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox");
        var page = Paging.Read(request);
        var rows = await commands.ListAsync(caller.Ownership, sandboxId, page.After, page.Fetch, cancellationToken);
        return Paging.Build(page, rows, r => new ListPosition(r.CreatedAt, r.Id), r => r.ToCommand(withOutput: false));
    }

    private static async Task<CommandResponse> GetAsync(
        string commandId, Caller caller, CommandStore store, CancellationToken cancellationToken) =>
        new((await FindAsync(store, caller, commandId, cancellationToken)).ToCommand());

    private static async Task<CommandResponse> CancelAsync(
        string commandId, Caller caller, HttpContext context, CommandStore store, CommandCancellation cancellation,
        CancellationToken cancellationToken)
    {
        var row = await FindAsync(store, caller, commandId, cancellationToken);
        var request = await RequestBody.ReadAsync<CancelCommandRequest>(context, cancellationToken, optional: true);
        var mode = CommandRules.CheckCancelMode(request.Mode);
        return new CommandResponse((await cancellation.CancelAsync(row, mode)).ToCommand());
    }

    private static Task StreamAsync(string commandId, Caller caller, HttpContext context, CommandStreaming streaming) =>
        streaming.StreamAsync(commandId, caller, context);

    private static async Task<CommandRow> FindAsync(CommandStore store, Caller caller, string commandId, CancellationToken cancellationToken) =>
        await store.FindAsync(caller.Ownership, commandId, cancellationToken) ?? throw ApiException.NotFound("Command");

    private static async Task<CheckedCommand> ReadAsync(
        HttpContext context, Caller caller, string sandboxId, SandboxStore sandboxes, Func<RunCommandRequest, CheckedCommand> check,
        CancellationToken cancellationToken)
    {
        try
        {
            var body = await RequestBody.ReadAsync(context, cancellationToken);
            if (body.IsTrue(RequireCommandRead))
            {
                caller.Demand(Scopes.CommandRead);
            }

            var request = body.Read<RunCommandRequest>();
            if (request.Collect is { Count: > 0 })
            {
                caller.Demand(Scopes.ArtifactCreate);
            }

            return check(request);
        }
        catch (ApiException e) when (e.Code != ErrorCodes.Forbidden)
        {
            // A foreign sandbox is told before a wrong body (docs/reference/api.md 2.6); a right body, the hot path, learns of it from the
            // insert.
            _ = await sandboxes.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox");
            throw;
        }
    }

    /// <summary>
    /// A working directory that only the sandbox could judge is an error of the request like any other (docs/reference/api.md 5.2).
    /// </summary>
    private static void ThrowIfCwdWasWrong(CommandRow row)
    {
        if (row is { State: CommandStatus.Failed, FailureCode: ErrorCodes.FileNotFound or ErrorCodes.PathNotDirectory or ErrorCodes.PathOutsideWorkspace })
        {
            throw new ApiException(row.FailureCode, row.FailureMessage ?? "cwd cannot be used.", new JsonObject { ["field"] = "cwd" });
        }
    }
}
