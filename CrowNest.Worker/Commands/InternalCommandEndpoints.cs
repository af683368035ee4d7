using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Worker.Http;

namespace CrowNest.Worker.Commands;

/// <summary>The routes of docs/protocols.md 3 that concern commands.</summary>
internal static class InternalCommandEndpoints
{
    /// <param name="group">The internal group, which asks for the deployment's secret.</param>
    public static IEndpointRouteBuilder MapCommands(this IEndpointRouteBuilder group)
    {
        group.MapPost("/commands", (StartCommand request, CommandRunner execution, CancellationToken cancellationToken) =>
            AnswerAsync(() => execution.StartAsync(request, cancellationToken), cancellationToken));
        group.MapPost(
            "/commands/{id}/cancel",
            (string id, CancelCommand request, CommandRunner execution, CancellationToken cancellationToken) => AnswerAsync(
                () => execution.CancelAsync(
                    id, request.Mode == CancelMode.Force ? CancelMode.Force : CancelMode.Graceful, cancellationToken),
                cancellationToken));
        return group;
    }

    private static async Task<CommandOutcome> AnswerAsync(Func<Task<CommandRow?>> work, CancellationToken cancellationToken)
    {
        try
        {
            return await work() is { } row
                ? new CommandOutcome(row)
                : throw WorkerException.NotFound("There is no such command in that sandbox.");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw WorkerException.Runtime("The node is stopping; the command goes on.");
        }
    }
}
