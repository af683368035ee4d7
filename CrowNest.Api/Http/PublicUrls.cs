using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Http;

/// <summary>Absolute URLs of this API as callers reach it, path prefix included (H17). Never taken from a request's Host header.</summary>
internal sealed class PublicUrls(IOptions<ApiOptions> options, IServer server)
{
    private string? _base;

    /// <summary>Without a slash at the end.</summary>
    public string Base => _base ??= Find();

    /// <summary>The path prefix, for example <c>/crownest</c>; empty without one.</summary>
    public PathString PathBase => options.Value.PublicBaseUrl is { } url
        ? PathString.FromUriComponent(new Uri(url).AbsolutePath.TrimEnd('/'))
        : default;

    /// <param name="path">Starts with a slash, for example <c>/v1/commands/cmd_1</c>; may have a query.</param>
    public string Link(string path) => Base + path;

    private string Find()
    {
        if (options.Value.PublicBaseUrl is { } configured)
        {
            return configured.TrimEnd('/');
        }

        // Known once the server listens; a test server has none.
        var address = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() ?? options.Value.ListenUrl;
        var bound = BindingAddress.Parse(address);
        var host = bound.Host is "*" or "+" || (IPAddress.TryParse(bound.Host.Trim('[', ']'), out var ip)
            && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))) ? "127.0.0.1" : bound.Host;
        return $"{bound.Scheme}://{host}:{bound.Port}";
    }
}
