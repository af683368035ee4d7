using System.Buffers.Text;
using System.Security.Cryptography;
using Scalar.AspNetCore;

namespace CrowNest.Api.Discovery;

/// <summary>
/// <c>/reference/</c>: what <c>/openapi.json</c> describes, as a page for people (docs/reference/api.md 15). It needs no credential, like the
/// document. See docs/decisions/reference-page.md.
/// </summary>
internal static class ReferencePage
{
    private const string Route = "/reference";
    private const int NonceBytes = 16;

    public static void MapReferencePage(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapScalarApiReference(Route, Configure).ExcludeFromDescription();

    private static void Configure(ScalarOptions options, HttpContext context)
    {
        var nonce = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(NonceBytes));
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy(nonce);
        headers.XContentTypeOptions = "nosniff";
        options.WithTitle("CrowNest API").WithOpenApiRoutePattern("/openapi.json").WithNonce(nonce)
            // All of these would ask or advertise hosts of the page's maker.
            .DisableTelemetry().DisableDefaultFonts().DisableAgent().DisableMcp().HideDeveloperTools().HideClientButton();
    }

    /// <summary>
    /// Only this origin, so that a key that somebody tries a request with goes nowhere else. The page's script makes its style elements
    /// itself, without a nonce.
    /// </summary>
    private static string Policy(string nonce) =>
        $"default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'unsafe-inline'; connect-src 'self'; "
        + "img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}
