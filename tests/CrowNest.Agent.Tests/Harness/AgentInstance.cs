using System.Diagnostics;

namespace CrowNest.Agent.Tests.Harness;

/// <summary>A running agent: a process of root on this machine, or process 1 of a container with the limits of production.</summary>
public abstract class AgentInstance : IAsyncDisposable
{
    private static int s_uids;

    private protected AgentInstance()
    {
        Directory.CreateDirectory(SocketDirectory);
        File.SetUnixFileMode(Root, (UnixFileMode)0x1C9);
        File.SetUnixFileMode(SocketDirectory, (UnixFileMode)0x1C9);
    }

    /// <summary>RLIMIT_NPROC counts per uid on this machine, so every agent under test has its own; far above the worker's range.</summary>
    internal int Uid { get; } = 1_900_000_000 + Environment.ProcessId % 100_000 * 1000 + Interlocked.Increment(ref s_uids);

    internal string Root { get; } = Directory.CreateTempSubdirectory("crownest-agent-tests-").FullName;

    internal string SocketDirectory => Path.Combine(Root, "run");

    internal string Socket => Path.Combine(SocketDirectory, "agent.sock");

    /// <summary>Process id of the agent on this machine.</summary>
    internal abstract int ProcessId { get; }

    /// <summary>Process id of the agent as its own commands see it.</summary>
    internal abstract int InnerProcessId { get; }

    /// <summary>Paths as commands see them.</summary>
    internal abstract string Workspace { get; }

    internal abstract string Home { get; }

    internal abstract string InnerSocket { get; }

    internal AgentClient Client { get; private set; } = null!;

    internal int ThreadCount => int.Parse(Status("Threads"));

    internal int ResidentKiB => int.Parse(Status("VmRSS").Split(' ')[0]);

    public virtual async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        // Not the framework's: names that are not UTF-8 stay out of its reach.
        await Shell.RunAsync("rm", "-rf", Root);
        GC.SuppressFinalize(this);
    }

    /// <summary>Waits until the agent answers. <paramref name="alive"/> says whether it is worth waiting on.</summary>
    private protected async Task ConnectAsync(Func<bool> alive)
    {
        Client = new AgentClient(Socket);
        await Eventually.HoldsAsync(
            async () =>
            {
                if (!alive()) throw new InvalidOperationException("the agent ended while starting");
                try
                {
                    await Client.HealthAsync();
                    return true;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            "the agent answers");
    }

    private protected string[] Arguments(string socket, string launcherDirectory, int window) =>
    [
        "--socket", socket, "--uid", $"{Uid}", "--gid", $"{Uid}", "--max-processes", "180", "--max-open-files", "1024",
        "--max-file-bytes", "268435456", "--workspace", Workspace, "--home", Home, "--output-window-bytes", $"{window}",
        "--launcher", $"{launcherDirectory}/crownest-launch",
    ];

    private string Status(string name) => File.ReadLines($"/proc/{ProcessId}/status")
        .First(l => l.StartsWith(name + ":", StringComparison.Ordinal))[(name.Length + 1)..].Trim();
}

/// <summary>The agent as a process of root on this machine.</summary>
public sealed class HostAgent : AgentInstance
{
    private Process _process = null!;

    internal override int ProcessId => _process.Id;

    internal override int InnerProcessId => _process.Id;

    internal override string Workspace => Path.Combine(Root, "workspace");

    internal override string Home => Path.Combine(Root, "home");

    internal override string InnerSocket => Socket;

    internal Process Process => _process;

    internal static async Task<HostAgent> StartAsync(int window = 1 << 20)
    {
        var agent = new HostAgent();
        if (Environment.UserName != "root")
            throw new InvalidOperationException("the agent drops the uid of commands and so must be started by root");
        var binaries = await AgentBinaries.DirectoryAsync();
        foreach (var directory in new[] { agent.Workspace, agent.Home })
        {
            Directory.CreateDirectory(directory);
            await Shell.RunAsync("chown", $"{agent.Uid}:{agent.Uid}", directory);
        }
        // Somewhere the user's uid may look: a checkout below /root is not.
        var launcher = Path.Combine(agent.Root, "crownest-launch");
        File.Copy(Path.Combine(binaries, "crownest-launch"), launcher);
        var start = new ProcessStartInfo(
            Path.Combine(binaries, "crownest-agent"), agent.Arguments(agent.Socket, agent.Root, window));
        start.Environment["AGENT_SECRET"] = "must-not-leak";
        agent._process = Process.Start(start)!;
        await agent.ConnectAsync(() => !agent._process.HasExited);
        return agent;
    }

    public override async ValueTask DisposeAsync()
    {
        // SIGTERM, so that trees die with it.
        if (!_process.HasExited) await Shell.RunAsync("kill", $"{_process.Id}");
        await _process.WaitForExitAsync();
        _process.Dispose();
        await base.DisposeAsync();
    }
}

/// <summary>The agent as process 1 of a container with every limit that the worker sets.</summary>
public sealed class ContainerAgent : AgentInstance
{
    private string _container = "";
    private int _processId;

    internal override int ProcessId => _processId;

    internal override int InnerProcessId => 1;

    internal override string Workspace => "/workspace";

    internal override string Home => "/home/sandbox";

    internal override string InnerSocket => "/run/crownest/agent.sock";

    internal static async Task<ContainerAgent> StartAsync(int window = 1 << 20, string memory = "512m")
    {
        var agent = new ContainerAgent();
        var binaries = await AgentBinaries.DirectoryAsync();
        string[] options =
        [
            "run", "-d", "--label", "crownest.tests=agent", "--network", "none", "--read-only", "--user", "0:0",
            "--tmpfs", $"/workspace:rw,exec,size=128m,uid={agent.Uid},gid={agent.Uid},mode=755",
            "--tmpfs", $"/home/sandbox:rw,exec,size=16m,uid={agent.Uid},gid={agent.Uid},mode=755",
            "--tmpfs", "/tmp:rw,exec,size=32m,mode=1777",
            "--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID", "--cap-add", "KILL",
            "--security-opt", "no-new-privileges",
            "--security-opt", $"seccomp={AgentBinaries.Checkout}/CrowNest.Worker/Containers/seccomp.json",
            "--pids-limit", "288", "--memory", memory, "--memory-swap", memory,
            "-v", $"{agent.SocketDirectory}:/run/crownest", "-v", $"{binaries}:/opt/crownest:ro",
            "-e", "AGENT_SECRET=must-not-leak", "--entrypoint", "/opt/crownest/crownest-agent",
        ];
        agent._container = await Shell.RunAsync(
            "docker", [.. options, await TestImage.NameAsync(), .. agent.Arguments(agent.InnerSocket, "/opt/crownest", window)]);
        agent._processId = int.Parse(await Shell.RunAsync("docker", "inspect", "-f", "{{.State.Pid}}", agent._container));
        await agent.ConnectAsync(() => Directory.Exists($"/proc/{agent._processId}"));
        return agent;
    }

    public override async ValueTask DisposeAsync()
    {
        if (_container.Length > 0) await Shell.RunAsync("docker", "rm", "-f", _container);
        await base.DisposeAsync();
    }
}
