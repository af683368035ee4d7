using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace CrowNest.ServiceDefaults;

/// <summary>
/// Addresses like <c>https+http://api</c>: the service <c>api</c>, by the first of these schemes that is configured
/// (<c>services__api__https__0</c>, then <c>services__api__http__0</c>). Whoever launches the processes sets these variables.
/// </summary>
public static class ServiceDiscovery
{
    /// <summary>Lets a client use such addresses.</summary>
    public static IHttpClientBuilder AddServiceDiscovery(this IHttpClientBuilder builder) =>
        builder.AddHttpMessageHandler(services => new ResolvingHandler(services.GetRequiredService<IConfiguration>()));

    /// <summary>The configured address; an address with an ordinary scheme and no such service is returned as it is.</summary>
    /// <exception cref="InvalidOperationException">The address names a service that is not configured.</exception>
    public static Uri ResolveService(this IConfiguration configuration, Uri address)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(address);
        var schemes = address.Scheme.Split('+');
        foreach (var scheme in schemes)
        {
            if (configuration[$"services:{address.Host}:{scheme}:0"] is { Length: > 0 } configured)
                return new Uri(new Uri(configured), address.PathAndQuery);
        }
        return schemes.Length == 1 ? address : throw new InvalidOperationException(
            $"The service '{address.Host}' has no address. Set services__{address.Host}__{schemes[^1]}__0.");
    }

    private sealed class ResolvingHandler(IConfiguration configuration) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.RequestUri is { IsAbsoluteUri: true } address)
                request.RequestUri = configuration.ResolveService(address);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
