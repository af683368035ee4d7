using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Containers.Network;

/// <summary>The resolvers of <c>internet</c> sandboxes: as configured, else the node's own as far as a sandbox may reach them.</summary>
internal sealed class ResolverList
{
    /// <summary>For nodes that resolve only through themselves, as the container engine does it too.</summary>
    private static readonly string[] Public = ["1.1.1.1", "8.8.8.8"];

    public ResolverList(IOptions<WorkerOptions> options)
    {
        AreConfigured = options.Value.DnsResolvers.Length > 0;
        Addresses = AreConfigured ? options.Value.DnsResolvers : FromNode("/etc/resolv.conf");
    }

    public IReadOnlyList<string> Addresses { get; }

    /// <summary>Whether the operator named them: only then may one be an address of the node itself.</summary>
    public bool AreConfigured { get; }

    private static string[] FromNode(string path)
    {
        var local = NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address).ToHashSet();
        string[] found = !File.Exists(path) ? [] :
        [
            .. File.ReadLines(path)
                .Select(line => line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
                .Where(words => words is ["nameserver", _, ..])
                .Select(words => IPAddress.TryParse(words[1], out var address) ? address : IPAddress.Loopback)
                .Where(a => a.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(a) && !local.Contains(a))
                .Select(a => a.ToString()).Distinct().Take(3),
        ];
        return found.Length > 0 ? found : Public;
    }
}
