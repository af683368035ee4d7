using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Sessions;

namespace CrowNest.Dashboard.Commands;

/// <summary>The download of a command's output, passed on from the API: a browser may reach the dashboard but not the API.</summary>
internal static class CommandLogEndpoint
{
    public static void MapCommandLog(this IEndpointRouteBuilder endpoints) => endpoints.MapGet("/commands/{id}/log", GetAsync);

    private static async Task<IResult> GetAsync(string id, ApiSession session, HttpContext context, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, Ids.Command))
            return Results.NotFound();
        try
        {
            var log = await session.ClientOf(context.User).Commands.OpenLogAsync(id, cancellationToken);
            return Results.Stream(log, "text/plain; charset=utf-8", fileDownloadName: $"{id}.log");
        }
        catch (CrowNestApiException exception)
        {
            return Results.Text(
                $"The log cannot be read: {exception.Message} ({exception.Code})\n",
                statusCode: (int?)exception.Status ?? StatusCodes.Status503ServiceUnavailable);
        }
    }
}
