using Microsoft.Net.Http.Headers;

namespace CrowNest.Dashboard.Assets;

internal static class AssetEndpoints
{
    public static void MapAssets(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGet("/assets/{name}", Get).AllowAnonymous();

    private static IResult Get(string name, string? v, AssetLibrary library, HttpResponse response)
    {
        if (library.Find(name) is not { } asset)
            return Results.NotFound();
        response.Headers.CacheControl = v == asset.Version ? "public, max-age=31536000, immutable" : "no-cache";
        return Results.Bytes(asset.Content, asset.ContentType, entityTag: new EntityTagHeaderValue($"\"{asset.Version}\""));
    }
}
