using System.Collections.Concurrent;
using System.Text;
using CrowNest.Testing;

namespace CrowNest.LocalHosting.Tests;

/// <summary>A state folder of its own, applications on it, and what they printed.</summary>
internal sealed class Nest : IAsyncDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode Everybody = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead
        | UnixFileMode.OtherExecute;

    private readonly List<DistributedApplication> _applications = [];

    /// <param name="closed">Only its owner may enter the folder, as in a checkout below /root.</param>
    public Nest(bool closed = false) => File.SetUnixFileMode(Folder, closed ? OwnerOnly : Everybody);

    public string Folder { get; } = Directory.CreateTempSubdirectory("crownest-nest-").FullName;

    public LinesWriter Output { get; } = new();

    /// <summary>A model on this folder, impatient and without fsync.</summary>
    public IDistributedApplicationBuilder CreateModel(params string[] settings)
    {
        var model = DistributedApplication.CreateBuilder([$"--CROWNEST_STATE_DIRECTORY={Folder}", .. settings]);
        return model.ConfigureLocalHosting(options =>
        {
            options.DurablePostgres = false;
            options.RestartDelay = TimeSpan.FromMilliseconds(100);
            options.Output = Output;
        });
    }

    public async Task<DistributedApplication> StartAsync(IDistributedApplicationBuilder model)
    {
        var application = model.Build();
        _applications.Add(application);
        await application.StartAsync();
        return application;
    }

    public async Task<DistributedApplication> StartAsync(Action<IDistributedApplicationBuilder> compose)
    {
        var model = CreateModel();
        compose(model);
        return await StartAsync(model);
    }

    /// <summary>Waits until a line of this resource contains the text.</summary>
    public Task SaysAsync(string resource, string text) => Eventually.HoldsAsync(
        () => Output.Lines.Any(line => line.StartsWith(resource, StringComparison.Ordinal) && line.Contains(text, StringComparison.Ordinal)),
        $"{resource} says '{text}'. All that was said:\n{string.Join('\n', Output.Lines)}",
        TimeSpan.FromSeconds(30));

    public async ValueTask DisposeAsync()
    {
        foreach (var application in _applications)
            await application.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>Keeps every line.</summary>
internal sealed class LinesWriter : TextWriter
{
    private readonly ConcurrentQueue<string> _lines = new();

    public override Encoding Encoding => Encoding.UTF8;

    public IReadOnlyCollection<string> Lines => _lines;

    public override void WriteLine(string? value) => _lines.Enqueue(value ?? "");

    /// <summary>The position of the first line that contains the text.</summary>
    public int IndexOf(string text) => _lines.ToList().FindIndex(line => line.Contains(text, StringComparison.Ordinal));
}

internal static class Waiting
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static async Task HealthyAsync(this DistributedApplication application, string name)
    {
        using var limit = new CancellationTokenSource(Limit);
        await application.ResourceNotifications.WaitForResourceHealthyAsync(name, limit.Token);
    }

    public static async Task<ResourceSnapshot> BecomesAsync(
        this DistributedApplication application, string name, Func<ResourceSnapshot, bool> condition)
    {
        using var limit = new CancellationTokenSource(Limit);
        return await application.ResourceNotifications.WaitForResourceAsync(name, condition, limit.Token);
    }

    public static int ProcessOf(this DistributedApplication application, string name) =>
        application.ResourceNotifications.Get(name).ProcessId ?? throw new InvalidOperationException($"{name} does not run.");
}
