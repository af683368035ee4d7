using System.Net;
using System.Net.Sockets;
using CrowNest.Contracts;
using CrowNest.Testing;
using CrowNest.Worker.Containers;
using Xunit;

namespace CrowNest.Worker.Tests.Network;

/// <summary>What a sandbox reaches, and above all what not.</summary>
[Trait("Needs", "engine")]
public sealed class SandboxNetworkTests(BackingServices backing)
{
    [Fact]
    public async Task Internet_ReachesPublicAddressesOnly()
    {
        await using var internet = await TestInternet.StartAsync();
        await using var node = await TestNode.StartAsync(backing, ("DnsResolvers:0", TestInternet.PrivateHost));
        using var service = new TcpListener(IPAddress.Any, 0);
        service.Start();
        var port = ((IPEndPoint)service.LocalEndpoint).Port;
        var (id, _) = await node.CreateAsync(network: NetworkPolicy.Internet);
        var (neighbour, _) = await node.CreateAsync(network: NetworkPolicy.Internet);
        var neighbourAddress = await AddressAsync(node, neighbour);

        // It works.
        await ReachesAsync(node, id, TestInternet.PublicHost, 80);
        Assert.Equal($"nameserver {TestInternet.PrivateHost}\n", (await node.ExecAsync(id, "cat /etc/resolv.conf")).Output);
        await ReachesAsync(node, id, TestInternet.PrivateHost, 53);

        // Private, shared, link-local, the metadata service, and the resolver but for its port.
        await FailsAsync(node, id, TestInternet.PrivateHost, 80);
        await FailsAsync(node, id, TestInternet.SharedHost, 80);
        await FailsAsync(node, id, TestInternet.MetadataHost, 80);

        // The machine by every address it has.
        var bridge = new Worker.Containers.Network.NetworkNames(node.Node.State.DeploymentId).Bridge;
        var own = await HostProgram.RunAsync("ip", ["-4", "-o", "addr", "show"], null, CancellationToken.None);
        foreach (var line in own.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            await FailsAsync(node, id, line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3].Split('/')[0], port);
        }

        Assert.Contains(bridge, own, StringComparison.Ordinal);

        // The other sandbox: it listens, and is not there.
        await ListenAsync(node, neighbour);
        await ReachesAsync(node, neighbour, neighbourAddress, 8080);
        await FailsAsync(node, id, neighbourAddress, 8080);

        // Not even a link-local address of the other family.
        Assert.Equal("0", (await node.ExecAsync(id, "grep -c eth0 /proc/net/if_inet6 | tr -d '\\n'")).Output);
    }

    [Fact]
    public async Task Sandboxes_OfTwoDeployments_DoNotMeet()
    {
        await using var internet = await TestInternet.StartAsync();
        await using var node = await TestNode.StartAsync(backing);
        await using var other = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync(network: NetworkPolicy.Internet);
        var (foreign, _) = await other.CreateAsync(network: NetworkPolicy.Internet);
        await ReachesAsync(node, id, TestInternet.PublicHost, 80);
        await ReachesAsync(other, foreign, TestInternet.PublicHost, 80);
        var (address, foreignAddress) = (await AddressAsync(node, id), await AddressAsync(other, foreign));

        await ListenAsync(other, foreign);

        Assert.NotEqual(address, foreignAddress);
        await ReachesAsync(other, foreign, foreignAddress, 8080);
        await FailsAsync(node, id, foreignAddress, 8080);

        // What one deployment takes away leaves the other's.
        await node.DisposeAsync();
        await ReachesAsync(other, foreign, TestInternet.PublicHost, 80);
    }

    [Fact]
    public async Task Kill_Internet_TakesTheLinkAway()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, started) = await node.CreateAsync(network: NetworkPolicy.Internet);
        Assert.True(node.Get<Worker.Containers.SandboxContainers>().TryGet(started.ContainerId, out var container));
        var link = new Worker.Containers.Network.NetworkNames(node.Node.State.DeploymentId).Link(container.Uid - node.FirstUid);
        Assert.True(Path.Exists($"/sys/class/net/{link}"));

        using var response = await node.KillAsync(id);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await Eventually.HoldsAsync(() => !Path.Exists($"/sys/class/net/{link}"), "the link is gone");
    }

    [Fact]
    public async Task Rules_FlushedBySomeone_ArePutBack()
    {
        await using var internet = await TestInternet.StartAsync();
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync(network: NetworkPolicy.Internet);
        var names = new Worker.Containers.Network.NetworkNames(node.Node.State.DeploymentId);
        string[] rule = ["FORWARD", "-i", names.Bridge, "-j", names.ForwardChain];
        await HostProgram.RunAsync("iptables", ["-w", "10", "-D", .. rule], null, CancellationToken.None);

        await CrowNest.Testing.Eventually.HoldsAsync(
            async () => (await HostProgram.TryRunAsync("iptables", ["-w", "10", "-C", .. rule], null, CancellationToken.None)).ExitCode == 0,
            "the rule is put back");

        await ReachesAsync(node, id, TestInternet.PublicHost, 80);
        await FailsAsync(node, id, TestInternet.MetadataHost, 80);
    }

    [Fact]
    public async Task Internet_NotAllowed_FailsClearlyAndNoneWorks()
    {
        await using var node = await TestNode.StartAsync(backing, ("AllowInternet", "false"));
        var request = await node.AddRowAsync(network: NetworkPolicy.Internet);

        using var response = await node.PostAsync(request);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Contains("Worker__AllowInternet", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(SandboxStatus.Failed, (await node.RowAsync(request.SandboxId)).State);
        Assert.Empty(await node.Engine.ListContainersAsync(node.Node.State.ContainerLabel, CancellationToken.None));
        await node.CreateAsync();
    }

    [Fact]
    public async Task Cleanup_AfterCrash_LeavesNothing()
    {
        var node = await TestNode.StartAsync(backing, ("WarmPoolSize:base", "1"));
        var id = node.Node.State.DeploymentId;
        await node.CreateAsync(network: NetworkPolicy.Internet);
        await node.CrashAsync();

        await node.DisposeAsync();

        var rules = await HostProgram.RunAsync("iptables-save", [], null, CancellationToken.None);
        var links = await HostProgram.RunAsync("ip", ["link", "show"], null, CancellationToken.None);
        Assert.DoesNotContain(id, rules, StringComparison.Ordinal);
        Assert.DoesNotContain(id, links, StringComparison.Ordinal);
        using var engine = new EngineClient(Microsoft.Extensions.Options.Options.Create(new WorkerOptions()));
        Assert.Empty(await engine.ListContainersAsync($"{Worker.Containers.ContainerLabels.Deployment}={id}", CancellationToken.None));
    }

    /// <summary>Opens port 8080 in a sandbox, for as long as it lives.</summary>
    private static async Task ListenAsync(TestNode node, string id)
    {
        await node.ExecAsync(id, "perl -MIO::Socket -e '$s = IO::Socket::INET->new(LocalPort => 8080, Listen => 5) or die; "
            + "while (1) { $c = $s->accept }' > /dev/null 2>&1 &");
        await CrowNest.Testing.Eventually.HoldsAsync(
            async () => (await ConnectAsync(node, id, "127.0.0.1", 8080)).Output.Contains("connected", StringComparison.Ordinal),
            "port 8080 is open");
    }

    private static async Task<string> AddressAsync(TestNode node, string id) =>
        (await node.ExecAsync(id, "hostname -I")).Output.Trim();

    private static async Task ReachesAsync(TestNode node, string id, string host, int port)
    {
        var (_, output) = await ConnectAsync(node, id, host, port);
        Assert.True(output.Contains("connected", StringComparison.Ordinal), $"{host}:{port} is not reached: {output}");
    }

    private static async Task FailsAsync(TestNode node, string id, string host, int port)
    {
        var (_, output) = await ConnectAsync(node, id, host, port);
        Assert.False(output.Contains("connected", StringComparison.Ordinal), $"{host}:{port} is reached");
    }

    private static Task<(int? ExitCode, string Output)> ConnectAsync(TestNode node, string id, string host, int port) =>
        node.ExecAsync(id, $"timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port} && echo connected' 2>&1");
}
