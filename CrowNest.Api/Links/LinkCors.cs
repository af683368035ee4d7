using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Net.Http.Headers;

namespace CrowNest.Api.Links;

/// <summary>
/// Pages of any origin may use signed links, and nothing else: a link carries all the permission there is, while other routes may trust
/// what a foreign page could borrow, such as human session headers from loopback (docs/decisions/human-session-headers.md).
/// </summary>
internal static class LinkCors
{
    public const string Policy = "signed links";

    /// <summary>As long as browsers take it into account.</summary>
    private static readonly TimeSpan PreflightAge = TimeSpan.FromHours(2);

    public static void Configure(CorsOptions options) => options.AddPolicy(Policy, policy => policy
        .AllowAnyOrigin()
        .WithMethods(HttpMethods.Get, HttpMethods.Put)
        .WithHeaders(HeaderNames.ContentType, HeaderNames.Range)
        .WithExposedHeaders(
            HeaderNames.AcceptRanges, HeaderNames.ContentDisposition, HeaderNames.ContentRange, HeaderNames.RetryAfter, HeaderNames.RequestId)
        .SetPreflightMaxAge(PreflightAge));
}
