using System.Security.Claims;
using Microsoft.AspNetCore.Authentication.Cookies;

namespace CrowNest.Dashboard.Sessions;

/// <summary>
/// What the encrypted cookie holds: who signed in, and the API's session token, which never reaches the browser in clear.
/// </summary>
internal static class SessionCookie
{
    public const string Name = "crownest-dashboard";

    private const string TokenClaim = "crownest:token";

    public static ClaimsPrincipal Principal(string token, string userName) => new(new ClaimsIdentity(
        [new Claim(TokenClaim, token), new Claim(ClaimTypes.Name, userName)],
        CookieAuthenticationDefaults.AuthenticationScheme));

    public static string? TokenOf(ClaimsPrincipal user) => user.FindFirst(TokenClaim)?.Value;
}
