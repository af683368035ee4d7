using System.Diagnostics;
using Aspire.Hosting.Running;
using CrowNest.Testing;

namespace CrowNest.LocalHosting.Tests;

public sealed class LeftoverTests
{
    [Fact]
    public async Task AppHost_Killed_ItsProcessesEndByThemselves()
    {
        await using var nest = new Nest();
        using var host = await StartHostAsync(nest);
        var children = ReadPids(nest);
        Assert.Equal(2, children.Count);

        Signals.Send(host.Id, Signals.Kill);

        await Eventually.HoldsAsync(() => children.All(child => !child.IsAlive()), "no child outlives it", TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task AppHost_Terminated_StopsEverythingAndExitsWith0()
    {
        await using var nest = new Nest();
        using var host = await StartHostAsync(nest);
        var children = ReadPids(nest);

        Signals.Send(host.Id, Signals.Terminate);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await host.WaitForExitAsync(limit.Token);

        Assert.Equal(0, host.ExitCode);
        Assert.All(children, child => Assert.False(child.IsAlive()));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(nest.Folder, "pids")));
    }

    [Fact]
    public async Task Start_WithLeftoverProcess_EndsItFirst()
    {
        await using var nest = new Nest();
        var pids = Directory.CreateDirectory(Path.Combine(nest.Folder, "pids")).FullName;
        using var leftover = StartSleep();
        var pid = PidFile.Of(leftover.Id, Signals.Terminate);
        pid.Write(Path.Combine(pids, "worker.pid"));

        await nest.StartAsync(model => model.AddExecutable("a", "sleep", "/", "1000"));

        Assert.False(pid.IsAlive());
        await nest.SaysAsync("apphost", $"worker: ending process {leftover.Id}");
    }

    [Fact]
    public async Task Start_PidBelongsToAnotherProcessByNow_LeavesItAlone()
    {
        await using var nest = new Nest();
        var pids = Directory.CreateDirectory(Path.Combine(nest.Folder, "pids")).FullName;
        using var stranger = StartSleep();
        var pid = PidFile.Of(stranger.Id, Signals.Terminate);
        (pid with { StartTime = pid.StartTime - 1 }).Write(Path.Combine(pids, "worker.pid"));

        await nest.StartAsync(model => model.AddExecutable("a", "sleep", "/", "1000"));

        Assert.True(pid.IsAlive());
        Assert.False(File.Exists(Path.Combine(pids, "worker.pid")));
        stranger.Kill();
    }

    private static async Task<Process> StartHostAsync(Nest nest)
    {
        var assembly = new Projects.CrowNest_LocalHosting_Sample().TargetPath;
        var host = Process.Start(new ProcessStartInfo(Path.ChangeExtension(assembly, null), ["host", $"--CROWNEST_STATE_DIRECTORY={nest.Folder}"])
        {
            RedirectStandardOutput = true,
        })!;
        while (await host.StandardOutput.ReadLineAsync() is { } line && !line.Contains("All resources are running", StringComparison.Ordinal))
            nest.Output.WriteLine(line);
        return host;
    }

    private static List<PidFile> ReadPids(Nest nest) =>
        [.. Directory.EnumerateFiles(Path.Combine(nest.Folder, "pids")).Select(file => PidFile.Read(file)!)];

    private static Process StartSleep() => Process.Start("setsid", ["sleep", "1000"]);
}
