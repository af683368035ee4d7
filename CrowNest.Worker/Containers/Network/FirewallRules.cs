using System.Text;

namespace CrowNest.Worker.Containers.Network;

/// <summary>
/// The packet filter of a deployment: three chains of its own, and the rules that lead into them. Whoever manages the node's other rules
/// keeps them.
/// </summary>
internal sealed class FirewallRules(NetworkNames names)
{
    /// <summary>Seconds to wait for others who change rules at the same time.</summary>
    private const string LockWait = "10";

    /// <summary>
    /// Unreachable for every sandbox: this network, private, shared (CGNAT), loopback, link-local with the metadata services, protocol
    /// assignments, benchmarking, multicast, reserved and broadcast (RFC 6890).
    /// </summary>
    private static readonly string[] Unreachable =
    [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    ];

    private (string Table, string[] Rule)[] Entries =>
    [
        ("filter", ["FORWARD", "-i", names.Bridge, "-j", names.ForwardChain]),
        ("filter", ["FORWARD", "-o", names.Bridge, "-j", names.ForwardChain]),
        ("filter", ["INPUT", "-i", names.Bridge, "-j", names.InputChain]),
        ("nat", ["POSTROUTING", "-j", names.NatChain]),
    ];

    /// <summary>Puts the rules in place; what stands there already is replaced in one step.</summary>
    /// <param name="localResolvers">Whether a resolver may be the node itself.</param>
    public async Task ApplyAsync(
        AddressBlock block, IEnumerable<string> resolvers, bool localResolvers, IEnumerable<string> blockedRanges,
        CancellationToken cancellationToken)
    {
        var rules = new StringBuilder();
        rules.AppendLine("*filter").AppendLine($":{names.ForwardChain} - [0:0]").AppendLine($":{names.InputChain} - [0:0]");
        // Only sandboxes open connections, and only to where the rules below let them: what is established is theirs.
        Forward("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
        Forward($"-o {names.Bridge} -j DROP");
        Forward($"! -s {block.Range} -j DROP");
        foreach (var protocol in new[] { "udp", "tcp" })
        {
            foreach (var resolver in resolvers)
            {
                Forward($"-d {resolver} -p {protocol} --dport 53 -j ACCEPT");
                if (localResolvers)
                {
                    Input($"-d {resolver} -p {protocol} --dport 53 -j ACCEPT");
                }
            }
        }

        foreach (var range in Unreachable.Append(block.Range).Concat(blockedRanges))
        {
            Forward($"-d {range} -j REJECT");
        }

        Forward("-j ACCEPT");
        Input("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
        Input("-j REJECT");
        rules.AppendLine("COMMIT").AppendLine("*nat").AppendLine($":{names.NatChain} - [0:0]");
        rules.AppendLine($"-A {names.NatChain} -s {block.Range} ! -o {names.Bridge} -j MASQUERADE").AppendLine("COMMIT");
        await HostProgram.RunAsync("iptables-restore", ["--noflush", "-w", LockWait], rules.ToString(), cancellationToken);
        foreach (var (table, rule) in Entries)
        {
            if (!await StandsAsync(table, rule, cancellationToken))
            {
                await HostProgram.RunAsync("iptables", ["-w", LockWait, "-t", table, "-I", .. rule], null, cancellationToken);
            }
        }

        void Forward(string rule) => rules.AppendLine($"-A {names.ForwardChain} {rule}");
        void Input(string rule) => rules.AppendLine($"-A {names.InputChain} {rule}");
    }

    /// <summary>Whether every rule that leads into our chains still stands; others may have flushed theirs.</summary>
    public async Task<bool> StandAsync(CancellationToken cancellationToken)
    {
        foreach (var (table, rule) in Entries)
        {
            if (!await StandsAsync(table, rule, cancellationToken))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Takes out whatever of it stands.</summary>
    public async Task RemoveAsync(CancellationToken cancellationToken)
    {
        foreach (var (table, rule) in Entries)
        {
            while (await StandsAsync(table, rule, cancellationToken))
            {
                await HostProgram.RunAsync("iptables", ["-w", LockWait, "-t", table, "-D", .. rule], null, cancellationToken);
            }
        }

        (string Table, string Chain)[] chains = [("filter", names.ForwardChain), ("filter", names.InputChain), ("nat", names.NatChain)];
        foreach (var (table, chain) in chains)
        {
            var (exitCode, _, _) = await HostProgram.TryRunAsync(
                "iptables", ["-w", LockWait, "-t", table, "-n", "-L", chain], null, cancellationToken);
            if (exitCode == 0)
            {
                await HostProgram.RunAsync("iptables", ["-w", LockWait, "-t", table, "-F", chain], null, cancellationToken);
                await HostProgram.RunAsync("iptables", ["-w", LockWait, "-t", table, "-X", chain], null, cancellationToken);
            }
        }
    }

    private static async Task<bool> StandsAsync(string table, string[] rule, CancellationToken cancellationToken)
    {
        var (exitCode, _, _) = await HostProgram.TryRunAsync(
            "iptables", ["-w", LockWait, "-t", table, "-C", .. rule], null, cancellationToken);
        return exitCode == 0;
    }
}
