using CrowNest.Client;
using CrowNest.Contracts;

namespace CrowNest.Bench;

/// <summary>Files and artifacts beside <c>docker cp</c>. Sandboxes here have room for a file of 1 GB, which is memory of theirs.</summary>
internal sealed class FileBenchmark(BenchOptions options, CrowNestClient client, Report report)
{
    private const int SmallBytes = 262_144;
    private const long LargeBytes = 1000L * 1000 * 1000;
    private const long HugeBytes = 2 * LargeBytes;
    private const int ManyEntries = 10_000;
    private const int LargeRounds = 5;
    private static readonly CreateSandboxRequest Create = new()
    {
        Template = BenchOptions.Template,
        Resources = new SandboxResources(MemoryMb: 4096),
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("crownest-bench-").FullName;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var sandbox = await client.Sandboxes.CreateAsync(Create, cancellationToken: cancellationToken);
        var container = await Docker.RunDetachedAsync(cancellationToken);
        try
        {
            await SmallAsync(sandbox.Id, container, cancellationToken);
            await ListAsync(sandbox.Id, cancellationToken);
            await RunAsync(sandbox.Id, $"head -c {LargeBytes} /dev/urandom > large.bin", cancellationToken);
            await Docker.ExecAsync(container, ["sh", "-c", $"head -c {LargeBytes} /dev/urandom > /tmp/large.bin"], cancellationToken);
            await DownloadAsync(sandbox.Id, container, cancellationToken);
            var artifact = await ExportAsync(sandbox.Id, container, cancellationToken);
            await RunAsync(sandbox.Id, "rm large.bin", cancellationToken);
            await ImportAsync(sandbox.Id, artifact, container, cancellationToken);
            await client.Artifacts.DeleteAsync(artifact, cancellationToken);
            await HugeAsync(sandbox.Id, cancellationToken);
        }
        finally
        {
            await client.Sandboxes.KillAsync(sandbox.Id, CancellationToken.None);
            await Docker.RemoveAllAsync(CancellationToken.None);
            Directory.Delete(_folder, recursive: true);
        }
    }

    private async Task SmallAsync(string sandboxId, string container, CancellationToken cancellationToken)
    {
        var content = new string('x', SmallBytes);
        var there = Path.Combine(_folder, "small");
        await File.WriteAllTextAsync(there, content, cancellationToken);
        Samples ours = new(), docker = new();
        for (var i = -BenchOptions.WarmUps; i < options.Rounds; i++)
        {
            await (i < 0 ? new Samples() : ours).TimeAsync(async () =>
            {
                await client.Files.WriteAsync(sandboxId, new WriteFileRequest { Path = "small.txt", Content = content }, cancellationToken);
                return await client.Files.ReadAsync(sandboxId, "small.txt", cancellationToken: cancellationToken);
            });
            await docker.TimeAsync(async () =>
            {
                await Docker.CopyAsync(there, $"{container}:/tmp/small", cancellationToken);
                return await Docker.CopyAsync($"{container}:/tmp/small", there + ".back", cancellationToken);
            });
        }

        report.AddRatio("write and read a file of 256 KB", ours, "`docker cp` in and out", docker, 1 / 10.0);
    }

    private async Task ListAsync(string sandboxId, CancellationToken cancellationToken)
    {
        await RunAsync(sandboxId, $"mkdir many && cd many && seq -f file-%g {ManyEntries} | xargs touch", cancellationToken);
        var ours = new Samples();
        for (var i = -BenchOptions.WarmUps; i < options.Rounds; i++)
        {
            var list = await (i < 0 ? new Samples() : ours).TimeAsync(
                () => client.Files.ListAsync(sandboxId, "many", cancellationToken: cancellationToken));
            if (list.Data.Count != ManyEntries)
            {
                throw new InvalidOperationException($"The list has {list.Data.Count} entries.");
            }
        }

        report.Add(new("list 10,000 entries", ours.ToString(), "–", "–", "under 60 ms", ours.Median < 60));
    }

    private async Task DownloadAsync(string sandboxId, string container, CancellationToken cancellationToken)
    {
        using var memory = new MemoryWatch(options.WorkerProcessId, options.ApiProcessId);
        var (ours, docker) = await TimeAsync(
            async () =>
            {
                await using var download = await client.Files.OpenAsync(sandboxId, "large.bin", cancellationToken);
                await ReadAllAsync(download.Content, cancellationToken);
            },
            () => Docker.CopyToNowhereAsync($"{container}:/tmp/large.bin", cancellationToken));
        AddRate("download a file of 1 GB from a sandbox, through the API", ours, docker, "`docker cp` to a pipe", 250, memory);
    }

    private async Task<string> ExportAsync(string sandboxId, string container, CancellationToken cancellationToken)
    {
        using var memory = new MemoryWatch(options.WorkerProcessId, options.ApiProcessId);
        var exported = new List<string>();
        var (ours, docker) = await TimeAsync(
            async () =>
            {
                var artifact = await client.Artifacts.CreateAsync(
                    sandboxId, new CreateArtifactRequest { Path = "large.bin" }, cancellationToken: cancellationToken);
                exported.Add(artifact.Id);
            },
            () => Docker.CopyAndHashAsync($"{container}:/tmp/large.bin", Path.Combine(_folder, "large"), cancellationToken));
        foreach (var id in exported.SkipLast(1))
        {
            await client.Artifacts.DeleteAsync(id, cancellationToken);
        }

        AddRate("export an artifact of 1 GB, hash included", ours, docker, "`docker cp`, then `sha256sum`", 150, memory);
        return exported[^1];
    }

    private async Task ImportAsync(string sandboxId, string artifactId, string container, CancellationToken cancellationToken)
    {
        using var memory = new MemoryWatch(options.WorkerProcessId, options.ApiProcessId);
        var (ours, docker) = await TimeAsync(
            () => client.Files.ImportArtifactAsync(
                sandboxId, new ImportArtifactRequest { ArtifactId = artifactId, Path = "in/large.bin" }, cancellationToken: cancellationToken),
            () => Docker.CopyAsync(Path.Combine(_folder, "large"), $"{container}:/tmp/again.bin", cancellationToken));
        AddRate("import an artifact of 1 GB, hash included", ours, docker, "`docker cp`", 150, memory);
    }

    private async Task HugeAsync(string sandboxId, CancellationToken cancellationToken)
    {
        await RunAsync(sandboxId, $"rm -rf in && head -c {HugeBytes} /dev/urandom > huge.bin", cancellationToken);
        using var memory = new MemoryWatch(options.WorkerProcessId, options.ApiProcessId);
        var artifact = await client.Artifacts.CreateAsync(
            sandboxId, new CreateArtifactRequest { Path = "huge.bin" }, cancellationToken: cancellationToken);
        await RunAsync(sandboxId, "rm huge.bin", cancellationToken);
        var imported = await client.Files.ImportArtifactAsync(
            sandboxId, new ImportArtifactRequest { ArtifactId = artifact.Id, Path = "huge.bin" }, cancellationToken: cancellationToken);
        var growth = memory.GrowthMiB;
        await client.Artifacts.DeleteAsync(artifact.Id, cancellationToken);
        report.Add(new(
            "artifact of 2 GB, exported and imported", $"API and worker +{growth:0} MiB", "–", "–", "flat memory",
            growth < 150 && artifact.SizeBytes == HugeBytes && imported.File.SizeBytes == HugeBytes));
    }

    private static async Task<(Samples Ours, Samples Docker)> TimeAsync(Func<Task> ours, Func<Task> docker)
    {
        Samples mine = new(), theirs = new();
        await ours();
        for (var i = 0; i < LargeRounds; i++)
        {
            await mine.TimeAsync(async () => { await ours(); return true; });
            await theirs.TimeAsync(async () => { await docker(); return true; });
        }

        return (mine, theirs);
    }

    private void AddRate(string measure, Samples ours, Samples docker, string dockerName, double atLeast, MemoryWatch memory)
    {
        double rate = LargeBytes / 1e6 / (ours.Median / 1000), dockerRate = LargeBytes / 1e6 / (docker.Median / 1000);
        var growth = memory.GrowthMiB;
        report.Add(new(
            measure, $"{rate:0} MB/s, API and worker +{growth:0} MiB", $"{dockerRate:0} MB/s {dockerName}", $"{rate / dockerRate:0.0} times",
            $"over {atLeast:0} MB/s, flat memory", rate > atLeast && growth < 150));
    }

    private async Task RunAsync(string sandboxId, string command, CancellationToken cancellationToken)
    {
        var ran = await client.Commands.RunAsync(
            sandboxId, new RunCommandRequest { Command = command }, cancellationToken: cancellationToken);
        if (ran.ExitCode != 0)
        {
            throw new InvalidOperationException($"{command} ended with {ran.ExitCode}: {ran.Stderr}");
        }
    }

    private static async Task ReadAllAsync(Stream content, CancellationToken cancellationToken)
    {
        var buffer = new byte[1 << 20];
        while (await content.ReadAsync(buffer, cancellationToken) > 0)
        {
        }
    }
}
