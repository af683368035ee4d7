using System.Globalization;
using System.Net;
using System.Text;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>What the launcher sees to by itself, without the agent.</summary>
public sealed class LauncherTests(HostFixture fixture) : IClassFixture<HostFixture>
{
    private AgentInstance Agent => fixture.Agent;

    private AgentClient Client => fixture.Agent.Client;

    [Fact]
    public async Task Launcher_Killed_TakesItsMainProcessAlong()
    {
        var id = await Client.StartAsync("echo $$ $PPID; exec sleep 1000");
        int main, launcher;
        await using (var reader = await Client.ReadAsync(id))
        {
            var pids = Encoding.ASCII.GetString((await reader.NextAsync())!.Payload).Split(' ');
            (main, launcher) = (int.Parse(pids[0], CultureInfo.InvariantCulture), int.Parse(pids[1], CultureInfo.InvariantCulture));
        }
        Assert.True(IsAlive(main));

        // Stopped, so that nothing that the agent does can be what ends it.
        await Shell.RunAsync("kill", "-STOP", $"{Agent.ProcessId}");
        try
        {
            await Shell.RunAsync("kill", "-KILL", $"{launcher}");
            await Eventually.HoldsAsync(() => !IsAlive(main), "the main process is gone");
        }
        finally
        {
            await Shell.RunAsync("kill", "-CONT", $"{Agent.ProcessId}");
        }

        await Client.FollowAsync(id);
        Assert.Equal(0, (await Client.RunAsync("true")).ExitCode);
    }

    /// <summary>A folder whose name only begins as the workspace's does, and which the user may enter.</summary>
    [Theory]
    [InlineData("beside")]
    [InlineData("beside/below")]
    [InlineData("../workspacex")]
    [InlineData("../workspacex/below")]
    public async Task Folder_BesideTheWorkspace_IsOutsideOfIt(string path)
    {
        var beside = Agent.Workspace + "x";
        Directory.CreateDirectory(Path.Combine(beside, "below"));
        await File.WriteAllTextAsync(Path.Combine(beside, "below", "file"), "secret");
        await Shell.RunAsync("chmod", "-R", "a+rwX", beside);
        await Client.RunAsync($"ln -sfn {beside} beside");

        var id = AgentClient.NewId();
        var (status, body) = await Client.PostAsync(id, "pwd -P", path);

        Assert.True(status == HttpStatusCode.BadRequest, $"{status} {body}");
        Assert.Equal("path_outside_workspace", AgentClient.Code(body));
        foreach (var file in new[] { "file", "below/file" })
        {
            Assert.Equal("400 path_outside_workspace", (await Client.ReadFileAsync($"{path}/{file}")).Outcome);
            Assert.Equal("400 path_outside_workspace", (await Client.WriteFileAsync($"{path}/{file}", "x")).Outcome);
        }
        Assert.Equal("400 path_outside_workspace", (await Client.ListAsync(path)).Outcome);
        Assert.Equal("secret", await File.ReadAllTextAsync(Path.Combine(beside, "below", "file")));
    }

    private static bool IsAlive(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..][0] is not ('Z' or 'X');
        }
        catch (IOException)
        {
            return false;
        }
    }
}
