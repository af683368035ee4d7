using System.Security.Claims;
using CrowNest.Client;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.Options;

namespace CrowNest.Dashboard.Sessions;

/// <summary>The API as the signed-in person sees it: every call carries that person's own session token.</summary>
internal sealed class ApiSession(
    AuthenticationStateProvider authentication, IHttpClientFactory clients, IOptions<DashboardOptions> options, TimeProvider timeProvider)
{
    public const string HttpClientName = "api";

    /// <summary>A create may wait for a cold start, a graceful cancel for its grace; streams have no limit after their headers.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(100);

    private CrowNestClient? _client;

    /// <summary>The client of this page's person.</summary>
    public async ValueTask<CrowNestClient> ClientAsync() =>
        _client ??= ClientOf((await authentication.GetAuthenticationStateAsync()).User);

    /// <summary>The client of a plain request's person.</summary>
    public CrowNestClient ClientOf(ClaimsPrincipal user) => ClientOf(user, Timeout);

    /// <summary>The same for an upload, which takes as long as the person's connection needs.</summary>
    public CrowNestClient UploadingClientOf(ClaimsPrincipal user) => ClientOf(user, System.Threading.Timeout.InfiniteTimeSpan);

    private CrowNestClient ClientOf(ClaimsPrincipal user, TimeSpan timeout)
    {
        var token = SessionCookie.TokenOf(user)
            ?? throw new InvalidOperationException("The page was reached without a session; authorization must come first.");
        var http = clients.CreateClient(HttpClientName);
        http.Timeout = timeout;
        return new CrowNestClient(http, new CrowNestClientOptions
        {
            BaseUrl = options.Value.ApiUrl,
            Credential = token,
            TimeProvider = timeProvider,
        });
    }
}
