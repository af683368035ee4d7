using Microsoft.AspNetCore.Http.Metadata;

namespace CrowNest.Worker.Files;

/// <summary>The relay of docs/protocols.md 3: the routes of 2.4 below a sandbox, and no others.</summary>
internal static class InternalFileEndpoints
{
    public static RouteGroupBuilder MapFiles(this RouteGroupBuilder routes) => routes.MapFiles(FileRoute.All);

    internal static RouteGroupBuilder MapFiles(this RouteGroupBuilder routes, IEnumerable<FileRoute> relayed)
    {
        foreach (var route in relayed)
        {
            routes.MapMethods(
                    $"/sandboxes/{{id}}{route.Path}", [route.Method.Method],
                    (string id, HttpContext context, FileRelay relay) => relay.RelayAsync(route, id, context))
                .WithMetadata(new BodySize(route.MaxBodyBytes));
        }

        return routes;
    }

    /// <param name="MaxRequestBodySize">null: the API says how much a caller may send.</param>
    private sealed record BodySize(long? MaxRequestBodySize) : IRequestSizeLimitMetadata;
}
