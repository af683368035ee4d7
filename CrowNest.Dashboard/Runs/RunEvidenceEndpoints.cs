using System.Text;
using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Sessions;

namespace CrowNest.Dashboard.Runs;

/// <summary>Downloads of a run's evidence, passed on from the API: a browser may reach the dashboard but not the API.</summary>
internal static class RunEvidenceEndpoints
{
    public static void MapRunEvidence(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/runs/{id}/evidence", GetJsonAsync);
        endpoints.MapGet("/runs/{id}/evidence-jws", GetJwsAsync);
    }

    private static Task<IResult> GetJsonAsync(string id, ApiSession session, HttpContext context, CancellationToken cancellationToken) =>
        GetAsync(id, "evidence.json", "application/json; charset=utf-8", async () =>
            RunEvidenceJson.Of(await session.ClientOf(context.User).WorkspaceRuns.GetEvidenceAsync(id, cancellationToken)));

    private static Task<IResult> GetJwsAsync(string id, ApiSession session, HttpContext context, CancellationToken cancellationToken) =>
        GetAsync(id, "evidence.jws", "application/jose", () =>
            session.ClientOf(context.User).WorkspaceRuns.GetSignedEvidenceAsync(id, cancellationToken));

    private static async Task<IResult> GetAsync(string id, string name, string contentType, Func<Task<string>> read)
    {
        if (!Ids.IsValid(id, Ids.WorkspaceRun))
            return Results.NotFound();
        try
        {
            return Results.File(Encoding.UTF8.GetBytes(await read()), contentType, $"{id}-{name}");
        }
        catch (CrowNestApiException exception)
        {
            return Results.Text(
                $"The evidence cannot be read: {exception.Message} ({exception.Code})\n",
                statusCode: (int?)exception.Status ?? StatusCodes.Status503ServiceUnavailable);
        }
    }
}
