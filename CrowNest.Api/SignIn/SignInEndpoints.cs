using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.SignIn;

/// <summary>The internal routes by which <c>up.sh</c> and the dashboard get a session (docs/protocols.md 7).</summary>
internal static class SignInEndpoints
{
    private sealed record SignInLink(string Url, DateTimeOffset ExpiresAt);

    private sealed record LauncherSession(string Token, DateTimeOffset ExpiresAt);

    private sealed record RedeemRequest(string? Token);

    private sealed record SignedOut(bool Ended);

    public static IServiceCollection AddSignIn(this IServiceCollection services) => services.AddSingleton<SessionStore>();

    public static void MapSignIn(this IEndpointRouteBuilder endpoints)
    {
        var routes = endpoints.MapGroup("/internal").LoopbackOnly().ExcludeFromDescription();
        routes.MapPost("/sign-in-links", CreateLinkAsync).RequireDeploymentSecret();
        routes.MapPost("/sign-ins", RedeemAsync).RequireDeploymentSecret();
        routes.MapPost("/sessions", CreateSessionAsync).RequireDeploymentSecret();
        routes.MapDelete("/sessions/current", SignOutAsync);
    }

    private static async Task<SignInLink> CreateLinkAsync(
        SessionStore sessions, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        var (token, expiresAt) = await sessions.CreateLinkAsync(options.Value.SignInLinkLifetime, cancellationToken);
        return new SignInLink($"{options.Value.DashboardUrl.TrimEnd('/')}/sign-in?token={token}", expiresAt);
    }

    private static async Task<NewSession> RedeemAsync(
        HttpContext context, SessionStore sessions, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        var request = await RequestBody.ReadAsync<RedeemRequest>(context, cancellationToken);
        return request.Token is { Length: > 0 } token
            ? await sessions.RedeemAsync(token, options.Value.SessionLifetime, cancellationToken)
                ?? throw ApiException.NotFound("Unused sign-in link")
            : throw ApiException.InvalidField("token", "'token' is required.");
    }

    private static async Task<LauncherSession> CreateSessionAsync(
        SessionStore sessions, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        var session = await sessions.CreateForOwnerAsync(options.Value.LauncherSessionLifetime, cancellationToken);
        return new LauncherSession(session.Token, session.ExpiresAt);
    }

    /// <summary>Signs out whoever holds the session; its own bearer is all it takes.</summary>
    private static async Task<SignedOut> SignOutAsync(HttpRequest request, SessionStore sessions, CancellationToken cancellationToken)
    {
        var bearer = Authentication.Bearer(request)
            ?? throw new ApiException(ErrorCodes.Unauthorized, "Send the session as bearer.");
        return await sessions.RevokeAsync(bearer, cancellationToken)
            ? new SignedOut(true)
            : throw new ApiException(ErrorCodes.InvalidApiKey, "The session is unknown or over.");
    }
}
