using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Net.Http.Headers;

namespace CrowNest.Api.Auth.Links;

/// <summary>What pages of other origins may do with a signed link (CORS).</summary>
internal static class LinkCors
{
    /// <summary>
    /// Only routes that take signed links have it. A link carries its whole right in its query, so it matters nothing which page uses it.
    /// On every other route the right comes from the surroundings: on loopback the headers of a human session are enough
    /// (docs/decisions/human-session-headers.md), and any page that a person opens can reach loopback through the browser. Without a
    /// CORS answer it can neither send those headers nor read what comes back. For the same reason neither credentials nor
    /// <c>Authorization</c> are allowed here: whoever has a key needs no link.
    /// </summary>
    public static readonly CorsPolicy Policy = new CorsPolicyBuilder()
        .AllowAnyOrigin()
        // Routing has found the endpoint by the method that the preflight asks for: any that arrives here is one that the route takes.
        .AllowAnyMethod()
        .WithHeaders(HeaderNames.ContentType, HeaderNames.Range, HeaderNames.IfRange, Http.RequestIds.Header)
        .WithExposedHeaders(
            HeaderNames.ContentDisposition, HeaderNames.ContentLength, HeaderNames.ContentRange, HeaderNames.AcceptRanges, HeaderNames.ETag,
            HeaderNames.RetryAfter, Http.RequestIds.Header)
        // No browser keeps the answer to a preflight for longer than a day; Chromium, the strictest, for two hours.
        .SetPreflightMaxAge(TimeSpan.FromHours(2))
        .Build();
}
