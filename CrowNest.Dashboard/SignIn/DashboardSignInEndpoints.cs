using CrowNest.Dashboard.Sessions;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace CrowNest.Dashboard.SignIn;

/// <summary>
/// Sign-in by one-time link. Opening the link only shows a form, because previews and prefetchers open links too; the form redeems it.
/// </summary>
internal static partial class DashboardSignInEndpoints
{
    public const string Path = "/sign-in";
    public const string ReturnParameter = "returnTo";

    public static void MapSignIn(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet(Path, Show).AllowAnonymous();
        endpoints.MapPost(Path, RedeemAsync).AllowAnonymous();
        endpoints.MapPost("/sign-out", EndAsync).AllowAnonymous();
    }

    private static RazorComponentResult<SignInPage> Show(string? token, string? returnTo, bool? ended, bool? signedOut)
    {
        if (!string.IsNullOrEmpty(token))
            return Page(new { Situation = SignInSituation.Confirm, Token = token, ReturnTo = returnTo }, StatusCodes.Status200OK);
        var situation = (ended, signedOut) switch
        {
            (true, _) => SignInSituation.SessionEnded,
            (_, true) => SignInSituation.SignedOut,
            _ => SignInSituation.NotSignedIn,
        };
        return Page(new { Situation = situation }, StatusCodes.Status200OK);
    }

    private static async Task<IResult> RedeemAsync(
        [FromForm] string? token,
        [FromForm] string? returnTo,
        SessionIssuer issuer,
        DashboardTelemetry telemetry,
        ILogger<SessionIssuer> log,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(token))
            return Results.Redirect(Path);
        try
        {
            var session = await issuer.RedeemAsync(token, cancellationToken);
            await context.SignInAsync(
                SessionCookie.Principal(session.Token, session.UserName),
                new AuthenticationProperties { IsPersistent = true, ExpiresUtc = session.ExpiresAt });
            telemetry.SignIn("redeemed");
            return Results.LocalRedirect(IsLocal(returnTo) ? returnTo! : "/");
        }
        catch (SignInException exception)
        {
            telemetry.SignIn(exception.Failure.ToString());
            LogRefused(log, exception.Failure, exception.Message);
            return exception.Failure switch
            {
                SignInFailure.LinkIsSpent => Page(new { Situation = SignInSituation.LinkIsSpent }, StatusCodes.Status410Gone),
                SignInFailure.ApiIsAway => Page(
                    new { Situation = SignInSituation.ApiIsAway, Token = token, ReturnTo = returnTo },
                    StatusCodes.Status503ServiceUnavailable),
                _ => Page(new { Situation = SignInSituation.Misconfigured }, StatusCodes.Status502BadGateway),
            };
        }
    }

    /// <summary>The form is bound only so that its antiforgery token is checked.</summary>
    private static async Task<IResult> EndAsync(
        [FromForm] string? reason,
        SessionIssuer issuer,
        ILogger<SessionIssuer> log,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        if (SessionCookie.TokenOf(context.User) is { } token && !await issuer.EndAsync(token, cancellationToken))
            LogNotEnded(log, reason ?? "asked");
        await context.SignOutAsync();
        return Results.LocalRedirect(Path + "?signedOut=true");
    }

    private static RazorComponentResult<SignInPage> Page(object parameters, int status) => new(parameters) { StatusCode = status };

    /// <summary>Only a path of our own: <c>//host</c> and <c>/\host</c> lead elsewhere.</summary>
    internal static bool IsLocal(string? path) =>
        path is ['/', ..] && !(path.Length > 1 && path[1] is '/' or '\\') && !path.Any(char.IsControl);

    [LoggerMessage(9001, LogLevel.Warning, "A sign-in was refused ({Failure}): {Reason}")]
    private static partial void LogRefused(ILogger log, SignInFailure failure, string reason);

    [LoggerMessage(9002, LogLevel.Warning, "A session was ended here ({Reason}), but the API could not be told")]
    private static partial void LogNotEnded(ILogger log, string reason);
}
