using System.Diagnostics;

namespace CrowNest.EndToEnd;

/// <summary>The engine behind the worker's back: by its command line, as an operator would.</summary>
internal static class Docker
{
    public static async Task<bool> ExistsAsync(string container) =>
        (await CallAsync("ps", "-aq", "--no-trunc", "--filter", $"id={container}")).Length > 0;

    public static Task KillAsync(string container) => CallAsync("kill", container);

    public static Task RemoveAsync(string container) => CallAsync("rm", "-f", container);

    public static Task<string> InspectAsync(string container, string format) => CallAsync("inspect", "--format", format, container);

    /// <summary>Removes what a stack left in the engine; sandboxes outlive their worker on purpose.</summary>
    public static async Task RemoveDeploymentAsync(string stateDirectory)
    {
        var id = Path.Combine(stateDirectory, "node", "deployment-id");
        if (!File.Exists(id))
        {
            return;
        }

        var label = $"label=crownest.deployment={(await File.ReadAllTextAsync(id)).Trim()}";
        var containers = (await CallAsync("ps", "-aq", "--filter", label)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (containers.Length > 0)
        {
            await CallAsync(["rm", "-f", .. containers]);
        }
    }

    private static async Task<string> CallAsync(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("docker", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? output.Trim()
            : throw new InvalidOperationException($"docker {string.Join(' ', arguments)} ended with {process.ExitCode}: {await errors}");
    }
}
