using CrowNest.Contracts;
using Xunit;
using static CrowNest.Worker.Tests.Commands.NodeCommands;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>The ways of a command through a real worker, agent, Postgres and Redis.</summary>
[Collection(NodeTests.Name)]
public sealed class CommandLifeTests(BackingServices backing)
{
    [Fact]
    public async Task Run_VariousPrograms_RowsSayWhatHappened()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();

        var exited = await node.RunAsync(sandbox, "echo out; echo err >&2; exit 3");
        Assert.Equal(CommandStatus.Exited, exited.State);
        Assert.Equal(3, exited.ExitCode);
        Assert.Equal("out\n", Text(exited.Stdout));
        Assert.Equal("err\n", Text(exited.Stderr));
        Assert.False(exited.StdoutTruncated);
        Assert.InRange(exited.StartedAt!.Value, exited.CreatedAt, exited.FinishedAt!.Value);
        Assert.InRange(exited.LastSeq, 2, 2);

        var silent = await node.RunAsync(sandbox, "true");
        Assert.Equal((CommandStatus.Exited, 0, 0L), (silent.State, silent.ExitCode, silent.LastSeq));

        var signaled = await node.RunAsync(sandbox, "kill -9 $$");
        Assert.Equal((CommandStatus.Exited, 137), (signaled.State, signaled.ExitCode));

        var binary = await node.RunAsync(sandbox, @"printf 'a\000b\377c\303'");
        Assert.Equal("a\0b\uFFFDc\uFFFD", Text(binary.Stdout));

        var timedOut = await node.RunAsync(sandbox, "echo begun; sleep 60", timeoutMs: 300);
        Assert.Equal((CommandStatus.TimedOut, "SIGTERM"), (timedOut.State, timedOut.TerminationSignal));
        Assert.Equal("begun\n", Text(timedOut.Stdout));
        Assert.Null(timedOut.ExitCode);
    }
}
