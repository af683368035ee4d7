using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

/// <summary>The rules of docs/architecture.md "Isolation", asked of a sandbox from inside.</summary>
[Trait("Needs", "engine")]
public sealed class IsolationTests(BackingServices backing)
{
    [Fact]
    public async Task Sandbox_FromInside_IsConfined()
    {
        await using var node = await TestNode.StartAsync(
            backing, ("DefaultMemoryMb", "256"), ("WorkspaceMb", "32"), ("WorkspaceInodes", "1000"), ("MaxProcesses", "50"));
        var (id, started) = await node.CreateAsync();
        Assert.True(node.Get<Worker.Containers.SandboxContainers>().TryGet(started.ContainerId, out var container));

        // One of the uids of the range, and nothing but that.
        var uid = container.Uid.ToString(CultureInfo.InvariantCulture);
        await GivesAsync("id -u; id -g; id -G", $"{uid}\n{uid}\n{uid}\n");
        Assert.InRange(container.Uid, 700_000, 700_999);
        await GivesAsync("whoami; echo $HOME; pwd", "sandbox\n/home/sandbox\n/workspace\n");
        await GivesAsync("grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'",
            "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:00000000000000e0\nCapAmb:0000000000000000\n"
            + "NoNewPrivs:1\nSeccomp:2\n");

        // Identity.
        await GivesAsync(
            "echo $CROWNEST $CROWNEST_SANDBOX_ID $CROWNEST_ORG_ID $CROWNEST_PROJECT_ID $CROWNEST_TEMPLATE_ID $CROWNEST_WORKSPACE",
            $"1 {id} org_test prj_test tpl_base /workspace\n");
        await GivesAsync("hostname", "sandbox\n");

        // Files: a read-only root, hard sizes, inodes.
        await RefusedAsync("touch /usr/probe");
        await RefusedAsync("touch /opt/crownest/probe");
        await RefusedAsync("touch /run/crownest/probe");
        await RefusedAsync("ls /run/crownest");
        await RefusedAsync("touch /etc/resolv.conf");
        await GivesAsync("df --output=size -m /workspace | tail -n 1 | tr -d ' '", "32\n");
        await RefusedAsync("head -c 40M /dev/zero > /workspace/big");
        await GivesAsync("stat -c %s /workspace/big | head -c 2; rm /workspace/big", "33");
        await RefusedAsync("for i in $(seq 1100); do : > /workspace/f$i || exit 1; done");
        await GivesAsync("rm -f /workspace/f*; printf '#!/bin/sh\\necho ran' > /workspace/x; chmod +x /workspace/x; /workspace/x", "ran\n");

        // Nothing writable but its own folders, memory and the terminals' multiplexer.
        var (_, writable) = await node.ExecAsync(
            id, "find / \\( -path /proc -o -path /workspace -o -path /tmp -o -path /home/sandbox -o -path /dev/shm \\) -prune -o -writable "
                + "-not -type l -print 2>/dev/null | sort | tr '\\n' ' '");
        Assert.Equal("/dev/full /dev/mqueue /dev/null /dev/pts/ptmx /dev/random /dev/tty /dev/urandom /dev/zero", writable.TrimEnd());

        // The agent: neither signals nor its memory nor its socket.
        await RefusedAsync("kill -9 1");
        await RefusedAsync("cat /proc/1/environ");
        await RefusedAsync("curl -s --max-time 2 --unix-socket /run/crownest/agent.sock http://agent/health");

        // Kernel interfaces.
        await RefusedAsync("unshare -U true");
        await RefusedAsync("mount -t tmpfs none /tmp");
        await RefusedAsync("mknod /tmp/disk b 8 0");
        await RefusedAsync("echo 1 > /proc/sys/kernel/core_pattern");
        await GivesAsync("ls /sys/class/net; cat /proc/net/dev | wc -l", "lo\n3\n");

        // Size.
        await GivesAsync("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max", "268435456\n512\n");
        await GivesAsync("ulimit -u; ulimit -n", "50\n4096\n");

        async Task GivesAsync(string command, string expected) => Assert.Equal(expected, (await node.ExecAsync(id, command)).Output);

        async Task RefusedAsync(string command)
        {
            var (exitCode, output) = await node.ExecAsync(id, command);
            Assert.True(exitCode is not 0, $"{command} was not refused: {output}");
        }
    }

    /// <summary>The questions that tests/templates asks of every template, asked in a sandbox that a worker has made.</summary>
    [Fact]
    public async Task SystemCalls_OfTheProbe_AreRefusedAndAllowedAsTheyMust()
    {
        var probe = Path.Combine(Path.GetTempPath(), $"crownest-probe-{Guid.NewGuid():n}");
        // The compiler of the launcher: what is built by it fits into one argument.
        using (var compiler = Process.Start("musl-gcc", ["-static", "-Os", "-s", "-o", probe, Path.Combine(AppContext.BaseDirectory, "probe.c")]))
        {
            await compiler.WaitForExitAsync();
            Assert.Equal(0, compiler.ExitCode);
        }

        var program = Convert.ToBase64String(await File.ReadAllBytesAsync(probe));
        File.Delete(probe);
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();

        var (exitCode, output) = await node.ExecAsync(id, $"echo {program} | base64 -d > probe && chmod +x probe && ./probe");

        Assert.Equal(0, exitCode);
        var answers = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(answers.Length >= 33, output);
        Assert.All(answers, answer => Assert.StartsWith("ok ", answer, StringComparison.Ordinal));
    }

    [Fact]
    public async Task TwoSandboxes_OnOneNode_HaveDifferentUids()
    {
        await using var node = await TestNode.StartAsync(backing);
        var first = await node.CreateAsync();
        var second = await node.CreateAsync();

        Assert.NotEqual(await node.ExecAsync(first.Id, "id -u"), await node.ExecAsync(second.Id, "id -u"));
    }
}
