using System.Runtime.InteropServices;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

public abstract class IsolationTests(AgentFixture fixture)
{
    private static readonly int s_ptrace = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 101 : 117;

    private AgentInstance Agent => fixture.Agent;

    private AgentClient Client => fixture.Agent.Client;

    [Fact]
    public async Task User_CannotSignalTraceOrReadTheAgentOrItsLauncher()
    {
        // 16 is PTRACE_ATTACH, 0x4206 PTRACE_SEIZE. The launcher is the parent of the shell.
        var outcome = await Client.RunAsync(
            $$"""
            for pid in {{Agent.InnerProcessId}} $PPID; do
              for signal in 9 15 19 10 0; do kill -$signal $pid 2>/dev/null && echo "signal $signal reached $pid"; done
              for file in environ mem maps fd/0 root/etc/hostname auxv; do
                cat /proc/$pid/$file >/dev/null 2>&1 && echo "$file of $pid is readable"
              done
              ls /proc/$pid/fd >/dev/null 2>&1 && echo "fd of $pid is readable"
              echo 1000 2>/dev/null >/proc/$pid/oom_score_adj && echo "oom of $pid is writable"
              perl -e 'for (16, 0x4206) { print "ptrace $_ works\n" if syscall({{s_ptrace}}, $_, '$pid', 0, 0) == 0 }'
            done
            [ $(id -u) = {{Agent.Uid}} ] && perl -e 'kill 9, -1' &
            sleep 0.2
            """);

        Assert.DoesNotContain("reached", outcome.Out);
        Assert.DoesNotContain("able", outcome.Out);
        Assert.DoesNotContain("works", outcome.Out);
        Assert.Equal(0, (await Client.RunAsync("true")).ExitCode);
    }

    [Fact]
    public async Task User_CannotConnectToOrReplaceTheSocket()
    {
        var outcome = await Client.RunAsync(
            $$"""
            s={{Agent.InnerSocket}}; d=$(dirname $s)
            perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); print connect(S, sockaddr_un($ARGV[0])) ? "connected\n" : "$!\n"' $s
            rm -f $s 2>/dev/null; mv $s $s.old 2>/dev/null; ln -s /etc/passwd $d/link 2>/dev/null; touch $d/file 2>/dev/null
            chmod 777 $s $d 2>/dev/null
            exit 0
            """);

        Assert.Equal("Permission denied\n", outcome.Out);
        Assert.Equal(["agent.sock"], Directory.EnumerateFileSystemEntries(Agent.SocketDirectory).Select(Path.GetFileName));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Agent.Socket));
        Assert.Equal(0, (await Client.RunAsync("true")).ExitCode);
    }

    [Fact]
    public async Task Agent_OwnEnvironmentAndArguments_ReachNoCommand()
    {
        var outcome = await Client.RunAsync(
            "env; cat /proc/$PPID/cmdline | tr '\\0' ' '; cat /proc/$$/environ", environment: new { A = "secret-value" });

        Assert.DoesNotContain("must-not-leak", outcome.Out);
        // The launcher's argument list held the environment; it shows its name only.
        Assert.Contains("crownest-launch", outcome.Out);
        Assert.DoesNotContain("crownest-launch " + Agent.Uid, outcome.Out);
    }

    [Fact]
    public async Task Commands_OfTheSameUser_CannotEscapeByRenamingThemselves()
    {
        // A name full of parentheses and spaces must not fool the reader of /proc/<pid>/stat.
        var id = await Client.StartAsync("cp /bin/sleep './a) R 1 1 (b' && (setsid './a) R 1 1 (b' 4711 &) ; echo up; sleep 1000");
        await using (var reader = await Client.ReadAsync(id)) await reader.NextAsync();
        await Eventually.HoldsAsync(async () => await CountAsync() == 1, "the disguised process runs");

        await Client.CancelAsync(id, "force");
        await Client.FollowAsync(id);

        Assert.Equal(0, await CountAsync());
    }

    private async Task<int> CountAsync() => int.Parse((await Client.RunAsync("ps -eo args= | grep -c ') R 1 1 (b 471[1]'; true")).Out);
}

public sealed class HostIsolationTests(HostFixture fixture) : IsolationTests(fixture), IClassFixture<HostFixture>;

[Trait("Needs", "engine")]
public sealed class ContainerIsolationTests(ContainerFixture fixture) : IsolationTests(fixture), IClassFixture<ContainerFixture>;
