using System.Net;
using System.Net.Http.Json;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;
using static CrowNest.Worker.Tests.Commands.NodeCommands;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>The ways of a command through a real worker, agent, Postgres and Redis.</summary>
[Trait("Needs", "engine")]
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

    [Fact]
    public async Task Run_WrongWorkingDirectory_FailsWithTheContractsCode()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        await node.RunAsync(sandbox, "touch /workspace/file");

        foreach (var (cwd, code) in new[]
        {
            ("/workspace/missing", ErrorCodes.FileNotFound), ("/workspace/file", ErrorCodes.PathNotDirectory),
            ("/etc", ErrorCodes.PathOutsideWorkspace),
        })
        {
            var row = await node.RunAsync(sandbox, "pwd", cwd: cwd);
            Assert.Equal((CommandStatus.Failed, code), (row.State, row.FailureCode));
            Assert.Contains(cwd, row.FailureMessage, StringComparison.Ordinal);
            Assert.NotNull(row.FinishedAt);
        }
    }

    [Fact]
    public async Task Start_SameIdManyTimes_RunsOnce()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        var request = await node.AddCommandAsync(sandbox, "echo run >> /workspace/runs; wc -l < /workspace/runs");

        var rows = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => node.PostAsync(request)));
        await Eventually.HoldsAsync(
            async () => (await node.Agent(sandbox).ListCommandsAsync(CancellationToken.None)).Count == 0, "the agent has forgotten it");
        var later = await node.PostAsync(request);

        Assert.All([.. rows, later], row => Assert.Equal("1\n", Text(row.Stdout)));
    }

    [Fact]
    public async Task Start_WaitIsOver_AnswersWithTheRunningRow()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();

        var begun = await node.BeginAsync(sandbox, "sleep 1; echo done");
        Assert.Equal(CommandStatus.Running, begun.State);
        Assert.NotNull(begun.StartedAt);
        var waited = await node.PostAsync(await node.AddCommandAsync(sandbox, "sleep 30", waitMs: 200));
        Assert.Equal(CommandStatus.Running, waited.State);

        var final = await node.CommandBecomesAsync(begun.Id, row => row.IsFinal, "it ends");
        Assert.Equal((CommandStatus.Exited, "done\n"), (final.State, Text(final.Stdout)));
    }

    [Fact]
    public async Task Start_SandboxNotHere_IsRefusedAndRowStays()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        var request = await node.AddCommandAsync(sandbox, "true");

        using var response = await node.Http.PostAsJsonAsync("/internal/commands", request with { SandboxId = "sbx_elsewhere" });
        using var unknown = await node.Http.PostAsJsonAsync("/internal/commands", request with { CommandId = "cmd_unknown" });

        Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal(CommandStatus.Queued, (await node.CommandRowAsync(request.CommandId)).State);
    }

    [Fact]
    public async Task Cancel_GracefulForceAndLate_EndsWithTheSignalThatDidIt()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();

        var polite = await node.BeginAsync(sandbox, "echo begun; sleep 60");
        await node.CancelAsync(polite.Id, CancelMode.Graceful);
        var canceled = await node.CommandRowAsync(polite.Id);
        Assert.Equal(
            (CommandStatus.Canceled, CancelMode.Graceful, "SIGTERM"), (canceled.State, canceled.CancelMode, canceled.TerminationSignal));
        Assert.NotNull(canceled.CanceledAt);
        Assert.Equal("begun\n", Text(canceled.Stdout));

        var deaf = await node.BeginAsync(sandbox, "trap '' TERM; echo deaf; while :; do sleep 0.1; done");
        var graceful = node.CancelAsync(deaf.Id, CancelMode.Graceful);
        var forced = await node.CancelAsync(deaf.Id, CancelMode.Force);
        Assert.Equal((CommandStatus.Canceled, CancelMode.Force, "SIGKILL"), (forced.State, forced.CancelMode, forced.TerminationSignal));
        Assert.Equal(forced.Id, (await graceful).Id);

        var late = await node.CancelAsync(deaf.Id, CancelMode.Graceful);
        Assert.Equal(CancelMode.Force, late.CancelMode);

        var queued = await node.AddCommandAsync(sandbox, "echo never");
        Assert.Equal(CommandStatus.Canceled, (await node.CancelAsync(queued.CommandId, CancelMode.Graceful)).State);
        Assert.Equal(CommandStatus.Canceled, (await node.PostAsync(queued)).State);
    }

    [Fact]
    public async Task Kill_SandboxOfRunningCommand_KeepsOutputAndAnswersWaiters()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();
        var request = await node.AddCommandAsync(sandbox, "echo before; sleep 60");
        var waiting = node.PostAsync(request);
        await reader.SeesAsync(request.CommandId, "before\n");

        (await node.KillAsync(sandbox)).Dispose();

        var row = await waiting.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal((CommandStatus.Killed, KilledReason.SandboxDestroyed), (row.State, row.KilledReason));
        Assert.Equal("before\n", Text(row.Stdout));
        Assert.Equal("before\n", await reader.FollowToEndAsync(request.CommandId));
        await node.CommandBecomesAsync(request.CommandId, r => r.LogObjectKey is not null, "the log is stored");
        Assert.Equal("before\n", await reader.ReadAllAsync(request.CommandId));
    }

    [Fact]
    public async Task Run_Flood_CapsRowAndLogAndCleansUp()
    {
        await using var node = await TestNode.StartAsync(backing);
        await using var reader = new LogFollower(node);
        var (sandbox, _) = await node.CreateAsync();

        var row = await node.RunAsync(sandbox, "head -c 40000000 /dev/zero | tr '\\0' x; echo; echo the end");

        Assert.Equal(Limits.InlineOutputBytes, row.Stdout!.Length);
        Assert.True(row.StdoutTruncated);
        Assert.False(row.StderrTruncated);
        Assert.True(row.OldestSeq > 1);
        var log = await reader.ReadAllAsync(row.Id);
        Assert.EndsWith("x\nthe end\n", log, StringComparison.Ordinal);
        Assert.InRange(log.Length, 8 * 1024 * 1024, Limits.RetainedLogBytes);
        var stored = await node.CommandBecomesAsync(row.Id, r => r.LogObjectKey is not null, "the log is stored");
        await Eventually.HoldsAsync(() => !Directory.Exists(Path.Combine(node.StateDirectory, "spool", row.Id)), "the spool is gone");
        await reader.ForgetAsync(row.Id);
        Assert.Equal(log, await reader.ReadAllAsync(stored.Id));
    }
}
