using System.Diagnostics;
using Docker.DotNet;
using Docker.DotNet.Models;

namespace CrowNest.AppHost;

/// <summary>
/// What an AppHost that was killed has left running on this state folder. Aspire's orchestrator notices and cleans up by itself within seconds;
/// a start waits for that, and ends what is still there when the orchestrator was killed as well: two servers on one data folder would
/// destroy it.
/// </summary>
internal static class Leftovers
{
    /// <summary>On every container of a stack; its value is the state folder.</summary>
    public const string Label = "crownest.state";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>Returns when nothing of an earlier start runs any more. The caller holds the folder's lock.</summary>
    public static async Task ClearAsync(DockerClient engine, Stack stack, TextWriter output)
    {
        var deadline = Stopwatch.GetTimestamp() + (long)(Patience.TotalSeconds * Stopwatch.Frequency);
        for (var told = false; ; told = true)
        {
            var containers = await FindContainersAsync(engine, stack);
            var processes = FindProcesses(stack);
            if (containers.Count == 0 && processes.Count == 0)
                return;
            if (!told)
                await output.WriteLineAsync("The last stack on this folder was killed; waiting until it is cleaned up.");
            if (Stopwatch.GetTimestamp() > deadline)
            {
                foreach (var process in processes)
                    process.Kill();
                foreach (var container in containers)
                {
                    await engine.Containers.StopContainerAsync(container, new ContainerStopParameters());
                    await engine.Containers.RemoveContainerAsync(container, new ContainerRemoveParameters { Force = true });
                }
            }
            await Task.Delay(Interval);
        }
    }

    private static async Task<List<string>> FindContainersAsync(DockerClient engine, Stack stack)
    {
        var found = await engine.Containers.ListContainersAsync(new ContainersListParameters
        {
            All = true,
            Filters = new Dictionary<string, IDictionary<string, bool>>
            {
                ["label"] = new Dictionary<string, bool> { [$"{Label}={stack.State.Path}"] = true },
            },
        });
        return [.. found.Select(container => container.ID)];
    }

    // Services are told their folder by their environment, which nobody else has.
    private static List<Process> FindProcesses(Stack stack)
    {
        var mark = $"CrowNest__StateDirectory={stack.State.Path}/";
        return [.. Process.GetProcesses().Where(process => Environment(process).Contains(mark, StringComparison.Ordinal))];
    }

    private static string Environment(Process process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process.Id}/environ");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Gone meanwhile, or of another user: not ours.
            return "";
        }
    }
}
