using System.ComponentModel.DataAnnotations;

namespace CrowNest.Dashboard;

/// <summary>Configuration of the dashboard (docs/protocols.md 1).</summary>
internal sealed class DashboardOptions
{
    /// <summary><c>CrowNest__DeploymentSecret</c>: used only to redeem sign-in links.</summary>
    [Required(ErrorMessage = "CrowNest__DeploymentSecret is not set.")]
    [MinLength(32, ErrorMessage = "CrowNest__DeploymentSecret must have at least 32 characters.")]
    public string DeploymentSecret { get; set; } = "";

    /// <summary><c>services__api__http__0</c> (or https): where the API is.</summary>
    [Required(ErrorMessage = "The address of the API, services__api__http__0, is not set.")]
    [Url(ErrorMessage = "services__api__http__0 is not an http or https address.")]
    public string ApiUrl { get; set; } = "";

    /// <summary>
    /// <c>Dashboard__PublicApiUrl</c>: the address under which people reach the API, shown in examples. Default: <see cref="ApiUrl"/>.
    /// </summary>
    [Url(ErrorMessage = "Dashboard__PublicApiUrl is not an http or https address.")]
    public string? PublicApiUrl { get; set; }

    /// <summary>
    /// <c>CrowNest__StateDirectory</c>: keeps the keys of the session cookies below <c>keys/</c>. Without it people sign in again after a
    /// restart.
    /// </summary>
    public string? StateDirectory { get; set; }

    /// <summary>
    /// <c>Dashboard__AllowedHosts</c>, separated by semicolons: host names under which the dashboard answers. Anything else is refused,
    /// so that a foreign name resolved to this machine (DNS rebinding) reaches nothing.
    /// </summary>
    [Required(AllowEmptyStrings = false)]
    public string AllowedHosts { get; set; } = "localhost;127.0.0.1;[::1]";

    /// <summary>The API by the name under which service discovery knows it; it finds the host, and knows nothing of a path.</summary>
    public Uri DiscoveredApiUrl => new($"https+http://api{new Uri(ApiUrl).AbsolutePath.TrimEnd('/')}/");

    public string ShownApiUrl => (string.IsNullOrWhiteSpace(PublicApiUrl) ? ApiUrl : PublicApiUrl).TrimEnd('/');

    public static void Bind(DashboardOptions options, IConfiguration configuration)
    {
        options.DeploymentSecret = configuration["CrowNest:DeploymentSecret"] ?? "";
        options.ApiUrl = configuration["services:api:https:0"] ?? configuration["services:api:http:0"] ?? "";
        options.PublicApiUrl = configuration["Dashboard:PublicApiUrl"];
        options.StateDirectory = configuration["CrowNest:StateDirectory"];
        options.AllowedHosts = configuration["Dashboard:AllowedHosts"] ?? options.AllowedHosts;
    }
}
