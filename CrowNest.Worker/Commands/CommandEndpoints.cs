using CrowNest.Contracts;
using CrowNest.Platform.Data;
using CrowNest.Platform.Fleet;

namespace CrowNest.Worker.Commands;

/// <summary>The routes of docs/protocols.md 3 that concern commands.</summary>
internal static class CommandEndpoints
{
    /// <param name="group">The internal group, which asks for the deployment's secret.</param>
    public static IEndpointRouteBuilder MapCommands(this IEndpointRouteBuilder group)
    {
        group.MapPost("/commands", (StartCommand request, CommandExecution execution, CancellationToken cancellationToken) =>
            AnswerAsync(() => execution.StartAsync(request, cancellationToken), cancellationToken));
        group.MapPost("/commands/{id}/cancel",
            (string id, CancelCommand request, CommandExecution execution, CancellationToken cancellationToken) =>
                AnswerAsync(
                    () => execution.CancelAsync(
                        id, request.Mode == CancelMode.Force ? CancelMode.Force : CancelMode.Graceful, cancellationToken),
                    cancellationToken));
        return group;
    }

    private static async Task<IResult> AnswerAsync(Func<Task<CommandRow?>> work, CancellationToken cancellationToken)
    {
        try
        {
            return await work() is { } row
                ? Results.Json(new CommandOutcome(row))
                : Error(StatusCodes.Status404NotFound, ErrorCodes.NotFound, "There is no such command in that sandbox.");
        }
        catch (SandboxNotHereException exception)
        {
            return Error(StatusCodes.Status409Conflict, ErrorCodes.Conflict, exception.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return Error(StatusCodes.Status503ServiceUnavailable, ErrorCodes.RuntimeError, "The node is stopping; the command goes on.");
        }
    }

    private static IResult Error(int status, string code, string message) =>
        Results.Json(new ErrorEnvelope(new ErrorBody(code, message)), statusCode: status);
}
