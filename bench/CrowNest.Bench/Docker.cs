using System.Diagnostics;
using Docker.DotNet;

namespace CrowNest.Bench;

/// <summary>Plain Docker, as a user would call it (CLI), and the engine's API for the cold start.</summary>
internal sealed class Docker : IDisposable
{
    private const string Label = "crownest.bench=1";

    private readonly DockerClient _engine = new DockerClientBuilder()
        .WithEndpoint(new Uri("unix:///var/run/docker.sock")).WithApiVersion(new Version(1, 41)).Build();

    /// <summary><c>docker run -d IMAGE sleep infinity</c>.</summary>
    /// <returns>The container's id.</returns>
    public static async Task<string> RunDetachedAsync(CancellationToken cancellationToken) =>
        (await CallAsync(["run", "-d", "--label", Label, "--network", "none", BenchOptions.Image, "sleep", "infinity"], cancellationToken)).Trim();

    public static Task<string> ExecAsync(string container, string[] command, CancellationToken cancellationToken) =>
        CallAsync(["exec", container, .. command], cancellationToken);

    /// <summary><c>docker exec</c> with its output thrown away, so that our own reading does not count against Docker.</summary>
    public static async Task<bool> ExecToNowhereAsync(string container, string[] command, CancellationToken cancellationToken)
    {
        await CallAsync("sh", ["-c", "exec docker exec \"$@\" > /dev/null", "sh", container, .. command], cancellationToken);
        return true;
    }

    /// <summary><c>docker cp</c>, in or out.</summary>
    public static Task<string> CopyAsync(string from, string to, CancellationToken cancellationToken) =>
        CallAsync(["cp", from, to], cancellationToken);

    /// <summary><c>docker cp</c> of a file to a pipe that nobody keeps.</summary>
    public static Task<string> CopyToNowhereAsync(string from, CancellationToken cancellationToken) =>
        CallAsync("sh", ["-c", "docker cp \"$1\" - > /dev/null", "sh", from], cancellationToken);

    /// <summary><c>docker cp</c> of a file to the host, and its digest.</summary>
    public static Task<string> CopyAndHashAsync(string from, string to, CancellationToken cancellationToken) =>
        CallAsync("sh", ["-c", "docker cp \"$1\" \"$2\" && sync \"$2\" && sha256sum \"$2\"", "sh", from, to], cancellationToken);

    /// <summary>What a user does without Docker.</summary>
    public static Task<string> ShellAsync(string script, string[] arguments, CancellationToken cancellationToken) =>
        CallAsync("sh", ["-c", script, "sh", .. arguments], cancellationToken);

    /// <summary><c>docker run --rm IMAGE command</c>.</summary>
    public static Task<string> RunOnceAsync(string[] command, CancellationToken cancellationToken) =>
        CallAsync(["run", "--rm", "--label", Label, "--network", "none", BenchOptions.Image, .. command], cancellationToken);

    public static async Task RemoveAllAsync(CancellationToken cancellationToken)
    {
        var ids = (await CallAsync(["ps", "-aq", "--filter", $"label={Label}"], cancellationToken))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (ids.Length > 0)
        {
            await CallAsync(["rm", "-f", .. ids], cancellationToken);
        }
    }

    /// <summary>Running containers on this machine.</summary>
    public static async Task<int> CountAsync(CancellationToken cancellationToken) =>
        (await CallAsync(["ps", "-q"], cancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;

    /// <summary>Create and start through the engine's API.</summary>
    public async Task<string> CreateAndStartAsync(CancellationToken cancellationToken)
    {
        var created = await _engine.Containers.CreateContainerAsync(
            new()
            {
                Image = BenchOptions.Image,
                Cmd = ["sleep", "infinity"],
                Labels = new Dictionary<string, string> { ["crownest.bench"] = "1" },
                HostConfig = new() { NetworkMode = "none" },
            },
            cancellationToken);
        await _engine.Containers.StartContainerAsync(created.ID, cancellationToken: cancellationToken);
        return created.ID;
    }

    public void Dispose() => _engine.Dispose();

    private static Task<string> CallAsync(string[] arguments, CancellationToken cancellationToken) =>
        CallAsync("docker", arguments, cancellationToken);

    private static async Task<string> CallAsync(string program, string[] arguments, CancellationToken cancellationToken)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {await errors}");
    }
}
