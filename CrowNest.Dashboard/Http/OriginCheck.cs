namespace CrowNest.Dashboard.Http;

/// <summary>
/// Refuses what another origin sends. The cookie's SameSite does not cover this: another port of the same host, for example a program
/// that somebody runs locally, counts as the same site.
/// </summary>
internal static class OriginCheck
{
    public static void UseOriginCheck(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        if (IsForeign(context.Request))
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            await context.Response.WriteAsync("This page only accepts requests from itself.", context.RequestAborted);
            return;
        }

        await next(context);
    });

    /// <summary>
    /// WebSockets and everything that changes something carry an Origin; a page that is opened carries none. Our own forms say "null",
    /// because our pages send no referrer (Fetch standard, "append a request Origin header"); then the browser's Sec-Fetch-Site tells.
    /// </summary>
    internal static bool IsForeign(HttpRequest request) => request.Headers.Origin.ToString() switch
    {
        "" => false,
        "null" => request.Headers["Sec-Fetch-Site"] != "same-origin",
        var origin => !string.Equals(origin, $"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase),
    };
}
