using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace CrowNest.Bench;

/// <summary>Plain Docker, as a user would call it (CLI), and the engine's API for the cold start.</summary>
internal sealed class Docker : IDisposable
{
    private const string Label = "crownest.bench=1";

    private readonly HttpClient _engine = new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint("/var/run/docker.sock"), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://engine/v1.41/") };

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
        using var created = await _engine.PostAsJsonAsync("containers/create", new JsonObject
        {
            ["Image"] = BenchOptions.Image,
            ["Cmd"] = new JsonArray("sleep", "infinity"),
            ["Labels"] = new JsonObject { ["crownest.bench"] = "1" },
            ["HostConfig"] = new JsonObject { ["NetworkMode"] = "none" },
        }, cancellationToken);
        created.EnsureSuccessStatusCode();
        var id = (await created.Content.ReadFromJsonAsync<JsonObject>(cancellationToken))!["Id"]!.GetValue<string>();
        using var started = await _engine.PostAsync($"containers/{id}/start", null, cancellationToken);
        started.EnsureSuccessStatusCode();
        return id;
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
