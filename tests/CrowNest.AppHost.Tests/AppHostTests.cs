using System.Diagnostics;

namespace CrowNest.AppHost.Tests;

public sealed class AppHostTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly string _state = Path.Combine(Path.GetTempPath(), $"cn-apphost-{Guid.NewGuid():N}"[..20]);

    [Fact]
    public async Task Start_PrerequisitesMissing_NamesEachWithTheCommandThatBringsIt()
    {
        var (exitCode, output) = await RunAsync(
            ("Worker__EngineSocket", "/nonexistent/engine.sock"), ("Worker__AgentDirectory", "/nonexistent/agent"));

        Assert.Equal(1, exitCode);
        Assert.Contains("a container engine on /nonexistent/engine.sock", output, StringComparison.Ordinal);
        Assert.Contains("bring it with: eng/engine.sh", output, StringComparison.Ordinal);
        Assert.Contains(
            "the sandbox agent (/nonexistent/agent/crownest-agent)\n      bring it with: eng/build-agent.sh", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PortTaken_NamesThePortAndItsVariable()
    {
        using var occupant = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        occupant.Start();
        var port = ((System.Net.IPEndPoint)occupant.LocalEndpoint).Port;

        var (exitCode, output) = await RunAsync(
            ("Worker__EngineSocket", "/nonexistent/engine.sock"), ("CROWNEST_WORKER_PORT", $"{port}"));

        Assert.Equal(1, exitCode);
        Assert.Contains($"a free port for the worker: {port} is taken", output, StringComparison.Ordinal);
        Assert.Contains("CROWNEST_WORKER_PORT=", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CROWNEST_API_PORT", "eighty", "CROWNEST_API_PORT is 'eighty'; it must be a port from 1 to 65535.")]
    [InlineData("CROWNEST_OBJECTS", "disk", "CROWNEST_OBJECTS is 'disk'; it must be folder or minio.")]
    public async Task Start_SettingIsWrong_NamesTheVariable(string name, string value, string message)
    {
        var (exitCode, output) = await RunAsync((name, value));

        Assert.Equal(1, exitCode);
        Assert.Contains(message, output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_StateFolderHasATooLongPath_SaysSo()
    {
        var (exitCode, output) = await RunAsync(("CROWNEST_STATE_DIRECTORY", Path.Combine(_state, new string('x', 100))));

        Assert.Equal(1, exitCode);
        Assert.Contains("too long a path for the sockets in it", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_AnotherHasTheStateFolder_NamesItsProcess()
    {
        using var state = new StateFolder(_state);
        state.Lock();

        var (exitCode, output) = await RunAsync();

        Assert.Equal(1, exitCode);
        Assert.Contains($"Another AppHost (pid {Environment.ProcessId}) already runs on {_state}", output, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        if (Directory.Exists(_state))
            Directory.Delete(_state, recursive: true);
    }

    private async Task<(int ExitCode, string Output)> RunAsync(params (string Name, string Value)[] environment)
    {
        // The AppHost's own output: the copy beside the tests lacks its framework.
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "..", "..", "CrowNest.AppHost", configuration, "CrowNest.AppHost"))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // What test.sh sets for the stack of its own run must not count here.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("CROWNEST_", StringComparison.Ordinal)).ToArray())
            start.Environment.Remove(name);
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(
            Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        start.Environment["CROWNEST_STATE_DIRECTORY"] = _state;
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(Limit);
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output + await error);
    }
}
