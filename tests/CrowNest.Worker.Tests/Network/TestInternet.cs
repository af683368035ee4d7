using CrowNest.Testing;
using CrowNest.Worker.Containers;

namespace CrowNest.Worker.Tests.Network;

/// <summary>
/// Hosts behind a link of the machine, in a network namespace of their own: a public one (203.0.113.0/24, RFC 5737), and in private,
/// shared and link-local ranges. Each answers HTTP on port 80 and on port 53.
/// </summary>
internal sealed class TestInternet : IAsyncDisposable
{
    public const string PublicHost = "203.0.113.2";
    public const string PrivateHost = "10.231.77.2";
    public const string SharedHost = "100.64.77.2";
    public const string MetadataHost = "169.254.169.254";

    /// <summary>The machine's own address on that link.</summary>
    public const string MachineAddress = "203.0.113.1";

    /// <summary>Its addresses are those of the machine: one at a time, whoever else tests here.</summary>
    private const string LockFile = "/run/lock/crownest-test-internet";

    private readonly FileStream _lock;
    private const string Prefix = "cnt";

    private readonly string _namespace = $"{Prefix}{Guid.NewGuid().ToString("n")[..8]}";
    private readonly List<System.Diagnostics.Process> _servers = [];

    private TestInternet(FileStream held) => _lock = held;

    private string Link => LinkOf(_namespace);

    public static async Task<TestInternet> StartAsync()
    {
        var internet = new TestInternet(await LockAsync());
        try
        {
            await internet.SetUpAsync();
        }
        catch
        {
            await internet.DisposeAsync();
            throw;
        }

        return internet;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
        {
            server.Kill();
            await server.WaitForExitAsync();
            server.Dispose();
        }

        await RemoveAsync(_namespace);
        await _lock.DisposeAsync();
    }

    private static async Task<FileStream> LockAsync()
    {
        FileStream? held = null;
        await Eventually.HoldsAsync(() => TryLock(out held), "no other test has the addresses", TimeSpan.FromMinutes(5));
        return held!;
    }

    private static bool TryLock(out FileStream? held)
    {
        try
        {
            held = new FileStream(LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return true;
        }
        catch (IOException)
        {
            // Another one has it.
            held = null;
            return false;
        }
    }

    private static string LinkOf(string name) => $"{name}h";

    private static async Task RemoveAsync(string name)
    {
        await HostProgram.TryRunAsync("ip", ["netns", "del", name], null, CancellationToken.None);
        await HostProgram.TryRunAsync("ip", ["link", "del", LinkOf(name)], null, CancellationToken.None);
    }

    /// <summary>Of tests that were killed: they have the addresses, and nobody answers there any more.</summary>
    private static async Task RemoveLeftoversAsync()
    {
        foreach (var line in (await RunAsync("ip", "netns", "list")).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var name = line.Split(' ')[0];
            if (name.StartsWith(Prefix, StringComparison.Ordinal) && (await RunAsync("ip", "netns", "pids", name)).Trim().Length == 0)
            {
                await RemoveAsync(name);
            }
        }
    }

    private async Task SetUpAsync()
    {
        await RemoveLeftoversAsync();
        await RunAsync("ip", "netns", "add", _namespace);
        await RunAsync("ip", "link", "add", Link, "type", "veth", "peer", "name", "eth0", "netns", _namespace);
        // To that one host and not to its range: the machine may have real hosts there, its package mirror for one.
        await RunAsync("ip", "addr", "add", MachineAddress, "peer", $"{PublicHost}/32", "dev", Link);
        await RunAsync("ip", "link", "set", Link, "up");
        await RunAsync("ip", "-n", _namespace, "link", "set", "lo", "up");
        await RunAsync("ip", "-n", _namespace, "addr", "add", PublicHost, "peer", $"{MachineAddress}/32", "dev", "eth0");
        await RunAsync("ip", "-n", _namespace, "link", "set", "eth0", "up");
        await RunAsync("ip", "-n", _namespace, "route", "add", "default", "via", MachineAddress);
        foreach (var host in new[] { PrivateHost, SharedHost, MetadataHost })
        {
            await RunAsync("ip", "-n", _namespace, "addr", "add", $"{host}/32", "dev", "lo");
            await RunAsync("ip", "route", "add", $"{host}/32", "via", PublicHost, "dev", Link);
        }

        foreach (var port in new[] { "80", "53" })
        {
            var start = new System.Diagnostics.ProcessStartInfo(
                "ip", ["netns", "exec", _namespace, "python3", "-m", "http.server", "--directory", "/sys/class/net", port])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            _servers.Add(System.Diagnostics.Process.Start(start)!);
        }

        await Eventually.HoldsAsync(() => AnswersAsync(PublicHost), "the public host answers the machine");
        await Eventually.HoldsAsync(() => AnswersAsync(MetadataHost), "the metadata host answers the machine");
    }

    private static async Task<bool> AnswersAsync(string host)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(1) };
        try
        {
            return (await http.GetAsync(new Uri($"http://{host}/"))).IsSuccessStatusCode
                && (await http.GetAsync(new Uri($"http://{host}:53/"))).IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    private static Task<string> RunAsync(string program, params string[] arguments) =>
        HostProgram.RunAsync(program, arguments, null, CancellationToken.None);
}
