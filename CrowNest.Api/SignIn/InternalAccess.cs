using System.Net;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.SignIn;

/// <summary>
/// Who may use <c>/internal</c>: processes of this deployment, over a direct loopback connection. For everyone else, and for whatever a
/// proxy passed on, the routes do not exist.
/// </summary>
internal static class InternalAccess
{
    /// <summary><c>X-Original-…</c> is what ASP.NET leaves of <c>X-Forwarded-…</c> when it was told to believe it.</summary>
    private static readonly string[] ForwardingPrefixes = ["X-Forwarded-", "X-Original-"];
    private static readonly string[] ForwardingHeaders = ["Forwarded", "Via", "X-Real-IP"];

    public static RouteGroupBuilder LoopbackOnly(this RouteGroupBuilder group)
    {
        group.AddEndpointFilter((context, next) =>
            IsDirectLoopback(context.HttpContext) ? next(context) : throw ApiException.NotFound("Route"));
        return group;
    }

    /// <summary>The bearer must be the deployment's secret.</summary>
    public static RouteHandlerBuilder RequireDeploymentSecret(this RouteHandlerBuilder route) =>
        route.AddEndpointFilter((context, next) =>
        {
            var secret = context.HttpContext.RequestServices.GetRequiredService<IOptions<ApiDeploymentOptions>>().Value.DeploymentSecret;
            var bearer = Authentication.Bearer(context.HttpContext.Request)
                ?? throw new ApiException(ErrorCodes.Unauthorized, "The internal API wants the deployment's secret.");
            // Hashed first, so that not even the length shows in the time it takes.
            return CryptographicOperations.FixedTimeEquals(Hash(bearer), Hash(secret))
                ? next(context)
                : throw new ApiException(ErrorCodes.InvalidApiKey, "This is not the deployment's secret.");
        });

    internal static bool IsDirectLoopback(HttpContext context) =>
        context.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address)
        && !context.Request.Headers.Keys.Any(name => ForwardingHeaders.Contains(name, StringComparer.OrdinalIgnoreCase)
            || ForwardingPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)));

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
