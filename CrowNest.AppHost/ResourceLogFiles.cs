using Microsoft.Extensions.Hosting;

namespace CrowNest.AppHost;

/// <summary>
/// Keeps what every resource writes to its console in <c>logs/</c> of the state folder, a file each. A file that grows beyond
/// <see cref="MaxBytes"/>, or is of an earlier start, becomes <c>NAME.1.log</c>.
/// </summary>
internal sealed class ResourceLogFiles(DistributedApplicationModel model, ResourceLoggerService logs, Stack stack) : BackgroundService
{
    private const long MaxBytes = 64 * 1024 * 1024;

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        model.Resources.Where(resource => resource is ServiceResource or ContainerResource).Select(resource => CopyAsync(resource, stoppingToken)));

    private async Task CopyAsync(IResource resource, CancellationToken cancellationToken)
    {
        var path = Path.Combine(stack.State.Logs, $"{resource.Name}.log");
        var file = Begin(path);
        try
        {
            await foreach (var lines in logs.WatchAsync(resource).WithCancellation(cancellationToken))
            {
                foreach (var line in lines)
                    await file.WriteLineAsync(line.Content.AsMemory(), cancellationToken);
                await file.FlushAsync(cancellationToken);
                if (file.BaseStream.Length > MaxBytes)
                {
                    await file.DisposeAsync();
                    file = Begin(path);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The stack stops.
        }
        finally
        {
            await file.DisposeAsync();
        }
    }

    private static StreamWriter Begin(string path)
    {
        if (File.Exists(path))
            File.Move(path, Path.ChangeExtension(path, ".1.log"), overwrite: true);
        return new StreamWriter(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
    }
}
