using System.Diagnostics;

namespace CrowNest.AppHost.Tests;

public sealed class AppHostTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Start_PrerequisitesMissing_NamesEachWithTheCommandThatBringsIt()
    {
        // The folder of dotnet alone: no Redis, no setpriv. Postgres is found outside of PATH.
        var (exitCode, output) = await RunAsync(("PATH", "/nonexistent"), ("Worker__EngineSocket", "/nonexistent/engine.sock"));

        Assert.Equal(1, exitCode);
        Assert.StartsWith("CrowNest.AppHost: local processes (", output, StringComparison.Ordinal);
        Assert.Contains("the program redis-server\n      bring it with: eng/setup.sh", output, StringComparison.Ordinal);
        Assert.Contains("a container engine on /nonexistent/engine.sock", output, StringComparison.Ordinal);
        Assert.Contains("bring it with: eng/engine.sh", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PortIsNoNumber_NamesTheVariable()
    {
        var (exitCode, output) = await RunAsync(("CROWNEST_API_PORT", "eighty"));

        Assert.Equal(1, exitCode);
        Assert.Contains("CROWNEST_API_PORT is 'eighty'; it must be a port from 1 to 65535.", output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, string Output)> RunAsync(params (string Name, string Value)[] environment)
    {
        // As a program, not by `dotnet exec`: it must find its runtime even without PATH.
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "CrowNest.AppHost"))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(
            Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
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
