using System.Text.Json;
using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Discovery;

/// <summary>What tells a client about the API before it has a credential (docs/reference/api.md 15).</summary>
internal static class DiscoveryEndpoints
{
    private const string OpenApiType = "application/vnd.oai.openapi+json";

    public static void MapDiscovery(this IEndpointRouteBuilder endpoints)
    {
        byte[]? document = null;
        endpoints.MapGet("/openapi.json", (EndpointDataSource routes, PublicUrls urls) =>
        {
            // Routes do not change while the process runs.
            document ??= JsonSerializer.SerializeToUtf8Bytes(
                OpenApiDocument.Create(routes.Endpoints.OfType<RouteEndpoint>(), urls.Base), CrowNestJson.Options);
            return Results.Bytes(document, $"{OpenApiType}; charset=utf-8");
        }).WithOperation("getOpenApi", "Discovery", "This document", o => o with { ContentType = OpenApiType });
    }
}
