using System.Globalization;
using System.Net;
using System.Text.Json;
using CrowNest.Worker.Nodes;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Containers.Network;

/// <summary>
/// The way out of <c>internet</c> sandboxes: one bridge per deployment with isolated ports, its packet filter, and a link per sandbox. Set
/// up when the first sandbox needs it; the rules stand before anything is plugged in.
/// </summary>
internal sealed partial class SandboxNetwork(
    IOptions<WorkerOptions> options, Node node, ResolverList resolvers, ILogger<SandboxNetwork> logger) : IDisposable
{
    private const string InterfaceFolder = "/sys/class/net";

    private readonly SemaphoreSlim _setup = new(1);
    private readonly NetworkNames _names = new(node.State.DeploymentId);
    private AddressBlock? _block;

    /// <summary>Gives the sandbox its link.</summary>
    /// <exception cref="HostProgramException">The message says what the node refused.</exception>
    public async Task PlugAsync(SandboxContainer container, CancellationToken cancellationToken)
    {
        var block = await EnsureAsync(cancellationToken);
        var index = container.Uid - options.Value.UidBase;
        var link = _names.Link(index);
        var pid = container.Pid.ToString(CultureInfo.InvariantCulture);
        if (File.ResolveLinkTarget($"/proc/{pid}/ns/net", false)?.Name == File.ResolveLinkTarget("/proc/self/ns/net", false)?.Name)
        {
            throw new HostProgramException("The sandbox has ended, or shares the node's network.");
        }

        // Isolated before it is up: two sandboxes never see each other. No IPv6 address at either end, not even a link-local one.
        await HostProgram.RunAsync("ip", ["-batch", "-"], $"""
            link add {link} type veth peer name eth0 netns {pid}
            link set {link} master {_names.Bridge}
            link set {link} type bridge_slave isolated on
            link set {link} addrgenmode none
            link set {link} up

            """, cancellationToken);
        await HostProgram.RunAsync("nsenter", [$"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"], $"""
            addr add {block.Address(index)}/{block.PrefixLength} dev eth0
            link set eth0 addrgenmode none
            link set eth0 up
            route add default via {block.Gateway}

            """, cancellationToken);
    }

    /// <summary>Takes the link of a sandbox away, if it has one.</summary>
    public async Task UnplugAsync(int uid, CancellationToken cancellationToken)
    {
        var link = _names.Link(uid - options.Value.UidBase);
        if (Exists(link))
        {
            await DeleteLinkAsync(link, cancellationToken);
        }
    }

    /// <summary>Removes the links of uids that no sandbox has.</summary>
    public async Task RemoveStrayLinksAsync(IReadOnlySet<int> uidsInUse, CancellationToken cancellationToken)
    {
        foreach (var path in Directory.GetFileSystemEntries(InterfaceFolder))
        {
            var name = Path.GetFileName(path);
            if (_names.IndexOf(name) is { } index && !uidsInUse.Contains(options.Value.UidBase + index))
            {
                await DeleteLinkAsync(name, cancellationToken);
            }
        }
    }

    /// <summary>Puts the rules back when someone has flushed the node's; nothing to do while no sandbox has needed them.</summary>
    public async Task RepairAsync(CancellationToken cancellationToken)
    {
        await _setup.WaitAsync(cancellationToken);
        try
        {
            if (_block is { } block && !(Exists(_names.Bridge) && await new FirewallRules(_names).StandAsync(cancellationToken)))
            {
                LogRepair(_names.Bridge);
                await SetUpAsync(block, cancellationToken);
            }
        }
        finally
        {
            _setup.Release();
        }
    }

    /// <summary>Removes bridge, links and rules of this deployment.</summary>
    public async Task RemoveAsync(CancellationToken cancellationToken)
    {
        await _setup.WaitAsync(cancellationToken);
        try
        {
            _block = null;
            await RemoveAsync(_names, cancellationToken);
        }
        finally
        {
            _setup.Release();
        }
    }

    public static async Task RemoveAsync(NetworkNames names, CancellationToken cancellationToken)
    {
        foreach (var path in Directory.GetFileSystemEntries(InterfaceFolder))
        {
            if (names.IndexOf(Path.GetFileName(path)) is not null)
            {
                await DeleteLinkAsync(Path.GetFileName(path), cancellationToken);
            }
        }

        if (Exists(names.Bridge))
        {
            await DeleteLinkAsync(names.Bridge, cancellationToken);
        }

        await new FirewallRules(names).RemoveAsync(cancellationToken);
    }

    public void Dispose() => _setup.Dispose();

    private async Task<AddressBlock> EnsureAsync(CancellationToken cancellationToken)
    {
        if (!options.Value.AllowInternet)
        {
            throw new HostProgramException("This node does not allow sandboxes with network access (Worker__AllowInternet).");
        }

        if (_block is { } ready)
        {
            return ready;
        }

        await _setup.WaitAsync(cancellationToken);
        try
        {
            if (_block is null)
            {
                var block = await ChooseBlockAsync(cancellationToken);
                await SetUpAsync(block, cancellationToken);
                _block = block;
                LogReady(_names.Bridge, block.Range);
            }

            return _block.Value;
        }
        finally
        {
            _setup.Release();
        }
    }

    private async Task SetUpAsync(AddressBlock block, CancellationToken cancellationToken)
    {
        if (!Exists(_names.Bridge))
        {
            await HostProgram.RunAsync("ip", ["link", "add", _names.Bridge, "type", "bridge"], null, cancellationToken);
        }

        // No IPv6: the bridge has no address of that family, not even a link-local one, and nothing is forwarded.
        if (Directory.Exists($"/proc/sys/net/ipv6/conf/{_names.Bridge}"))
        {
            await File.WriteAllTextAsync($"/proc/sys/net/ipv6/conf/{_names.Bridge}/disable_ipv6", "1", cancellationToken);
        }

        await new FirewallRules(_names).ApplyAsync(
            block, resolvers.Addresses, resolvers.AreConfigured, options.Value.BlockedRanges, cancellationToken);
        await HostProgram.RunAsync("ip", ["-batch", "-"], $"""
            addr replace {block.Gateway}/{block.PrefixLength} dev {_names.Bridge}
            link set {_names.Bridge} up

            """, cancellationToken);
        // The container engine does the same for its own bridges.
        await File.WriteAllTextAsync("/proc/sys/net/ipv4/ip_forward", "1", cancellationToken);
    }

    /// <summary>The block of an earlier start if the bridge has one, else the first that overlaps no address and no route.</summary>
    private async Task<AddressBlock> ChooseBlockAsync(CancellationToken cancellationToken)
    {
        var used = new List<IPNetwork>();
        using var addresses = JsonDocument.Parse(await HostProgram.RunAsync("ip", ["-j", "-4", "addr", "show"], null, cancellationToken));
        string? own = null;
        foreach (var device in addresses.RootElement.EnumerateArray().Where(d => d.TryGetProperty("ifname", out _)))
        {
            foreach (var address in device.GetProperty("addr_info").EnumerateArray())
            {
                var local = IPAddress.Parse(address.GetProperty("local").GetString()!);
                if (device.GetProperty("ifname").GetString() == _names.Bridge)
                {
                    own = local.ToString();
                }
                else
                {
                    used.Add(Network(local, address.GetProperty("prefixlen").GetInt32()));
                }
            }
        }

        using var routes = JsonDocument.Parse(await HostProgram.RunAsync("ip", ["-j", "-4", "route", "show"], null, cancellationToken));
        foreach (var route in routes.RootElement.EnumerateArray())
        {
            var isOwn = route.TryGetProperty("dev", out var device) && device.GetString() == _names.Bridge;
            if (!isOwn && route.GetProperty("dst").GetString() is { } text && text != "default")
            {
                used.Add(IPNetwork.Parse(text.Contains('/', StringComparison.Ordinal) ? text : $"{text}/32"));
            }
        }

        var seed = uint.Parse(node.State.DeploymentId, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        var blocks = AddressBlock.In(IPNetwork.Parse(options.Value.Subnet), options.Value.UidCount, seed).ToList();
        return blocks.Where(block => block.Gateway == own).Concat(blocks.Where(block => !used.Any(block.Overlaps)))
            .Select(block => (AddressBlock?)block).FirstOrDefault()
            ?? throw new HostProgramException(
                $"No part of {options.Value.Subnet} is free for {options.Value.UidCount} sandboxes: set Worker__Subnet to a range that "
                + "the node does not use.");
    }

    private static IPNetwork Network(IPAddress address, int prefixLength)
    {
        var bytes = address.GetAddressBytes();
        for (var bit = prefixLength; bit < 32; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    private static bool Exists(string name) => Path.Exists(Path.Combine(InterfaceFolder, name));

    private static async Task DeleteLinkAsync(string name, CancellationToken cancellationToken)
    {
        var (exitCode, _, error) = await HostProgram.TryRunAsync("ip", ["link", "del", name], null, cancellationToken);
        // It goes by itself with the sandbox's end of it.
        if (exitCode != 0 && Exists(name))
        {
            throw new HostProgramException($"ip link del {name} ended with {exitCode}: {error.Trim()}");
        }
    }

    [LoggerMessage(5301, LogLevel.Information, "The network of internet sandboxes is up: {Bridge}, {Range}")]
    private partial void LogReady(string bridge, string range);

    [LoggerMessage(5302, LogLevel.Warning, "Bridge or packet filter of {Bridge} were gone; they are put back")]
    private partial void LogRepair(string bridge);
}
