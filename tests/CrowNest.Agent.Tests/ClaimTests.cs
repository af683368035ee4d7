using System.Net;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

public sealed class ClaimTests
{
    [Fact]
    public async Task Claim_Lifecycle_IsGivenOnce()
    {
        await using var agent = await HostAgent.StartAsync();
        var client = agent.Client;

        Assert.False((await client.HealthAsync()).TryGetProperty("sandboxId", out _));
        var (early, earlyBody) = await client.PostAsync("early", "true");
        Assert.Equal((HttpStatusCode.Conflict, "conflict"), (early, AgentClient.Code(earlyBody)));

        Assert.Equal("sbx_a", await client.ClaimAsync("sbx_a", new { KEY = "first" }));
        Assert.Equal("sbx_a", await client.ClaimAsync("sbx_a", new { KEY = "second" }));
        Assert.Equal("conflict", await client.ClaimAsync("sbx_b"));

        var health = await client.HealthAsync();
        Assert.Equal("sbx_a", health.GetProperty("sandboxId").GetString());
        Assert.Equal(0, health.GetProperty("activeCommands").GetInt32());
        Assert.NotEmpty(health.GetProperty("version").GetString()!);
        Assert.Equal("first\n", (await client.RunAsync("echo $KEY")).Out);
    }

    [Fact]
    public async Task Claim_BlankOrImpossible_IsRefused()
    {
        await using var agent = await HostAgent.StartAsync();

        Assert.Equal("invalid_request", await agent.Client.ClaimAsync(" "));
        Assert.Equal("invalid_request", await agent.Client.ClaimAsync("sbx_a", new Dictionary<string, string> { ["A=B"] = "" }));
        Assert.Equal("sbx_a", await agent.Client.ClaimAsync("sbx_a"));
    }

    [Fact]
    public async Task Sigterm_CommandsRunning_EndsAgentAndTreesAndRemovesTheSocket()
    {
        await using var agent = await HostAgent.StartAsync();
        await agent.Client.ClaimAsync();
        var id = await agent.Client.StartAsync("trap '' TERM; (setsid sleep 1000 &); sleep 1000");
        int shell = (await agent.Client.StateAsync(id)).GetProperty("pid").GetInt32();
        Assert.True(Directory.Exists($"/proc/{shell}"));

        await Shell.RunAsync("kill", $"{agent.ProcessId}");

        await agent.Process.WaitForExitAsync();
        Assert.Equal(0, agent.Process.ExitCode);
        Assert.False(File.Exists(agent.Socket));
        await Eventually.HoldsAsync(() => !Directory.Exists($"/proc/{shell}"), "the tree is gone");
        await Eventually.HoldsAsync(() => !AnyProcessOf(agent.Uid), "no process of the user is left");
    }

    [Theory]
    [InlineData("--uid", "0")]
    [InlineData("--gid", "0")]
    [InlineData("--max-processes", "many")]
    [InlineData("--workspace", "/")]
    [InlineData("--output-window-bytes", "1")]
    [InlineData("--unknown", "1")]
    [InlineData("--socket", "")]
    public void Options_Impossible_AreRefused(string name, string value)
    {
        Dictionary<string, string> options = new()
        {
            ["--socket"] = "/run/crownest/agent.sock",
            ["--uid"] = "1",
            ["--gid"] = "1",
            ["--max-processes"] = "1",
            ["--max-open-files"] = "64",
            ["--max-file-bytes"] = "1",
        };
        Assert.True(AgentOptions.TryParse([.. options.SelectMany(o => new[] { o.Key, o.Value })], out _, out _));

        options[name] = value;

        Assert.False(AgentOptions.TryParse([.. options.SelectMany(o => new[] { o.Key, o.Value })], out _, out var problem));
        Assert.Contains(name, problem, StringComparison.Ordinal);
    }

    private static bool AnyProcessOf(int uid) => Directory.EnumerateDirectories("/proc").Any(p =>
    {
        try
        {
            return File.ReadLines($"{p}/status").Any(l => l.StartsWith($"Uid:\t{uid}\t", StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false; // not a process, or gone meanwhile
        }
    });
}
