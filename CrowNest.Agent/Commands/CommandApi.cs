using System.Globalization;
using CrowNest.Agent.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CrowNest.Agent.Commands;

/// <summary>The routes below <c>/commands</c> of docs/protocols.md 2.</summary>
internal static class CommandApi
{
    private const string UpgradeProtocol = "crownest-output";
    private const int MaxIdLength = 128;
    private const long DefaultGraceMs = 10_000;

    // What a timer of the framework can hold: 49 days.
    private const long MaxMs = uint.MaxValue - 1L;

    internal static void MapCommands(this IEndpointRouteBuilder routes, CommandTable commands, AgentOptions options)
    {
        routes.MapPost("/commands", http => StartAsync(http, commands, options));
        routes.MapGet("/commands", http => http.AnswerAsync(200, new CommandList(commands.List()), Wire.Default.CommandList));
        routes.MapGet("/commands/{id}", async http => await AnswerAsync(http, 200, await FindAsync(http, commands)));
        routes.MapDelete("/commands/{id}", http => DeleteAsync(http, commands));
        routes.MapPost("/commands/{id}/cancel", http => CancelAsync(http, commands));
        routes.MapGet("/commands/{id}/output", http => OutputAsync(http, commands));
    }

    private static async Task StartAsync(HttpContext http, CommandTable commands, AgentOptions options)
    {
        var request = await http.ReadAsync(Wire.Default.StartRequest);
        if (request.Id is not { Length: > 0 and <= MaxIdLength } id || !id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.'))
            throw new AgentException(AgentError.InvalidRequest($"id must be 1 to {MaxIdLength} letters, digits, '_', '-' or '.'"));
        if (string.IsNullOrWhiteSpace(request.Command) || request.Command.Contains('\0'))
            throw new AgentException(AgentError.InvalidRequest("command must be neither blank nor contain NUL"));
        CommandEnvironment.Check(request.Environment);
        var cwd = request.Cwd is null ? null : WorkspacePath.Normalize(request.Cwd, options.Workspace);
        var timeout = Duration(request.TimeoutMs, 1, "timeoutMs");
        var (command, started) = await commands.StartAsync(id, request.Command, cwd, request.Environment, timeout);
        await AnswerAsync(http, started ? 201 : 200, command);
    }

    private static async Task DeleteAsync(HttpContext http, CommandTable commands)
    {
        await commands.DeleteAsync(Id(http));
        http.Response.StatusCode = 204;
    }

    private static async Task CancelAsync(HttpContext http, CommandTable commands)
    {
        var request = await http.ReadAsync(Wire.Default.CancelRequest);
        var mode = request.Mode switch
        {
            "graceful" => CancelMode.Graceful,
            "force" => CancelMode.Force,
            _ => throw new AgentException(AgentError.InvalidRequest("mode must be graceful or force")),
        };
        var grace = Duration(request.GraceMs, 0, "graceMs") ?? TimeSpan.FromMilliseconds(DefaultGraceMs);
        var command = await FindAsync(http, commands);
        command.Cancel(mode, grace);
        await AnswerAsync(http, 202, command);
    }

    private static async Task OutputAsync(HttpContext http, CommandTable commands)
    {
        var command = await FindAsync(http, commands);
        var upgrade = http.Features.Get<IHttpUpgradeFeature>();
        if (upgrade is not { IsUpgradableRequest: true }
            || !string.Equals(http.Request.Headers.Upgrade, UpgradeProtocol, StringComparison.OrdinalIgnoreCase))
            throw new AgentException(AgentError.InvalidRequest($"output is read over Upgrade: {UpgradeProtocol}"));
        if (!long.TryParse(http.Request.Query["from"], NumberStyles.None, CultureInfo.InvariantCulture, out long from))
            throw new AgentException(AgentError.InvalidRequest("from must be a position of the output"));

        using var replaced = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        if (command.Output.Attach(from, replaced) is { } error) throw new AgentException(error);
        try
        {
            http.Response.Headers.Upgrade = UpgradeProtocol;
            await using var stream = await upgrade.UpgradeAsync();
            await new OutputConnection(command, stream, from).ServeAsync(replaced.Token);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client went away or another connection took its place; output stays where it is until the next one.
            http.Abort();
        }
        finally
        {
            command.Output.Detach(replaced);
        }
    }

    private static string Id(HttpContext http) => (string)http.Request.RouteValues["id"]!;

    private static Task<Command> FindAsync(HttpContext http, CommandTable commands) => commands.GetAsync(Id(http));

    private static Task AnswerAsync(HttpContext http, int status, Command command) =>
        http.AnswerAsync(status, command.State, Wire.Default.CommandState);

    private static TimeSpan? Duration(long? ms, long least, string name)
    {
        if (ms is null) return null;
        if (ms < least || ms > MaxMs)
            throw new AgentException(AgentError.InvalidRequest($"{name} must be from {least} to {MaxMs}"));
        return TimeSpan.FromMilliseconds(ms.Value);
    }
}
