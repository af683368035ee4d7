using System.Globalization;

namespace CrowNest.Worker.Containers.Network;

/// <summary>
/// Names of what a deployment puts into the node's network, so that two deployments never touch each other's. Interface names have at most
/// 15 characters, chains 28.
/// </summary>
internal sealed class NetworkNames(string deploymentId)
{
    public string Bridge => $"cn-{deploymentId}";
    public string ForwardChain => $"CN-{deploymentId}-FORWARD";
    public string InputChain => $"CN-{deploymentId}-INPUT";
    public string NatChain => $"CN-{deploymentId}-NAT";
    private string LinkPrefix => $"cv{deploymentId}";

    /// <summary>The node's end of a sandbox's link.</summary>
    /// <param name="index">Position of the sandbox's uid in the range; below 65536.</param>
    public string Link(int index) => $"{LinkPrefix}{index:x4}";

    /// <summary>The index of a link of this deployment, or null.</summary>
    public int? IndexOf(string name) =>
        name.StartsWith(LinkPrefix, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(LinkPrefix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var index)
            ? index : null;
}
