using CrowNest.Dashboard.Assets;
using CrowNest.Dashboard.Sessions;
using CrowNest.Dashboard.SignIn;
using CrowNest.ServiceDefaults.Http;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.Extensions.Options;

namespace CrowNest.Dashboard;

internal static class DashboardServices
{
    public static void AddDashboard(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<DashboardOptions>().Configure<IConfiguration>(DashboardOptions.Bind)
            .ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<HostFilteringOptions>().Configure<IOptions<DashboardOptions>>((filtering, options) =>
        {
            filtering.AllowedHosts = options.Value.AllowedHosts
                .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            filtering.AllowEmptyHosts = false;
        });
        // A request line would show the token of a sign-in link. The keys' folder is closed to others; nothing else encrypts them.
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning)
            .AddFilter("System.Net.Http.HttpClient", LogLevel.Warning)
            .AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);

        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<AssetLibrary>();
        services.AddSingleton<DashboardTelemetry>();
        services.AddSessionCookie();
        services.AddApiAccess();
        services.AddRazorComponents().AddInteractiveServerComponents(options =>
        {
            // A laptop that wakes up finds its page again; more circuits than this are not worth their memory.
            options.DisconnectedCircuitRetentionPeriod = TimeSpan.FromMinutes(3);
            options.DisconnectedCircuitMaxRetained = 50;
        });
    }

    private static void AddSessionCookie(this IServiceCollection services)
    {
        services.AddDataProtection().SetApplicationName("CrowNest.Dashboard");
        services.AddSingleton<IConfigureOptions<Microsoft.AspNetCore.DataProtection.KeyManagement.KeyManagementOptions>, KeyFolder>();
        services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(options =>
        {
            options.Cookie.Name = SessionCookie.Name;
            options.Cookie.HttpOnly = true;
            options.Cookie.SameSite = SameSiteMode.Strict;
            options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
            options.LoginPath = DashboardSignInEndpoints.Path;
            options.ReturnUrlParameter = DashboardSignInEndpoints.ReturnParameter;
            options.SlidingExpiration = false;
        });
        services.AddAuthorizationBuilder()
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        services.AddCascadingAuthenticationState();
        services.AddAntiforgery(options =>
        {
            options.Cookie.Name = "crownest-dashboard-form";
            options.Cookie.SameSite = SameSiteMode.Strict;
        });
    }

    private static void AddApiAccess(this IServiceCollection services)
    {
        services.AddHttpClient(ApiSession.HttpClientName)
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
            {
                // One handler serves everybody: nothing of one session may stick to it.
                UseCookies = false,
                AllowAutoRedirect = false,
                PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            })
            .AddSafeRetries();
        services.AddHttpClient<SessionIssuer>((provider, http) =>
        {
            http.BaseAddress = provider.GetRequiredService<IOptions<DashboardOptions>>().Value.DiscoveredApiUrl;
            http.Timeout = TimeSpan.FromSeconds(10);
        });
        services.AddScoped<ApiSession>();
        services.AddScoped<ApiConnection>();
        services.AddScoped<PageVisibility>();
    }
}
