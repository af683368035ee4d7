using System.Diagnostics;
using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;

namespace CrowNest.EndToEnd;

/// <summary>What can befall a part of the stack: it is killed, frozen, stopped.</summary>
internal static class StackFaults
{
    /// <summary>SIGKILL, as by a crash; the stack starts the part again.</summary>
    public static async Task KillResourceAsync(this DistributedApplication app, string name)
    {
        var before = await app.FindAsync(name);
        if (Property(before.Snapshot, "container.id") is { } container)
            await Docker.KillAsync(container);
        else
            ProcessOf(before.Snapshot).Kill();
        // Whoever waits for its health next must not see the one of before.
        await app.ResourceNotifications.WaitForResourceAsync(name, change => change.Snapshot.State?.Text != KnownResourceStates.Running);
    }

    /// <summary>Sends a signal to the part's process.</summary>
    public static async Task SignalResourceAsync(this DistributedApplication app, string name, int signal)
    {
        var process = ProcessOf((await app.FindAsync(name)).Snapshot);
        using var kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    /// <summary>Stops the part, and the stack leaves it alone.</summary>
    public static Task StopResourceAsync(this DistributedApplication app, string name) => ExecuteAsync(app, name, KnownResourceCommands.StopCommand);

    public static Task StartResourceAsync(this DistributedApplication app, string name) => ExecuteAsync(app, name, KnownResourceCommands.StartCommand);

    private static async Task ExecuteAsync(DistributedApplication app, string name, string command)
    {
        var result = await app.Services.GetRequiredService<ResourceCommandService>().ExecuteCommandAsync((await app.FindAsync(name)).ResourceId, command);
        if (!result.Success)
            throw new InvalidOperationException($"{command} of {name}: {result.Message}");
    }

    private static Task<ResourceEvent> FindAsync(this DistributedApplication app, string name) =>
        app.ResourceNotifications.WaitForResourceAsync(name, change => change.Snapshot.State is not null);

    private static Process ProcessOf(CustomResourceSnapshot snapshot) =>
        Process.GetProcessById(int.Parse(Property(snapshot, "executable.pid")!, CultureInfo.InvariantCulture));

    private static string? Property(CustomResourceSnapshot snapshot, string name) =>
        snapshot.Properties.FirstOrDefault(property => property.Name == name)?.Value?.ToString();
}
