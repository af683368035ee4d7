using System.Diagnostics;
using System.Security.Cryptography;
using CrowNest.Client;
using CrowNest.Contracts;

namespace CrowNest.Bench;

/// <summary>Workspace runs: what one costs over its command, a large archive beside <c>curl</c> and <c>tar</c>, and many at once.</summary>
/// <param name="waitForStock">Returns when the warm pool is full.</param>
internal sealed class RunBenchmark(
    BenchOptions options, CrowNestClient client, Report report, Func<CancellationToken, Task> waitForStock) : IDisposable
{
    private const int SmallArchiveBytes = 1_000_000;
    private const int LargeArchiveBytes = 200_000_000;
    private const int AtOnce = 20;
    private static readonly CreateWorkspaceRunRequest Request = new() { Command = "true", Template = BenchOptions.Template };

    private readonly string _folder = Directory.CreateTempSubdirectory("crownest-bench-").FullName;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var small = await PackAsync("small", SmallArchiveBytes, cancellationToken);
        await OverheadAsync(small, cancellationToken);
        await LargeAsync(cancellationToken);
        await ManyAsync(small, cancellationToken);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task OverheadAsync(string archive, CancellationToken cancellationToken)
    {
        var ours = new Samples();
        for (var i = -BenchOptions.WarmUps / 2; i < options.Rounds / 2; i++)
        {
            await waitForStock(cancellationToken);
            var started = Stopwatch.GetTimestamp();
            var evidence = await RunAsync(archive, cancellationToken);
            var took = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            var command = await client.Commands.GetAsync(evidence.CommandId!, cancellationToken);
            if (i >= 0)
            {
                ours.Add(took - command.DurationMs!.Value);
            }
        }

        report.Add(new(
            "workspace run of `true` with an archive of 1 MB, over its command", ours.ToString(), "–", "–", "under 150 ms", ours.Median < 150));
    }

    private async Task LargeAsync(CancellationToken cancellationToken)
    {
        var large = await PackAsync("large", LargeArchiveBytes, cancellationToken);
        Samples ours = new(), tools = new();
        for (var i = 0; i < 5; i++)
        {
            await waitForStock(cancellationToken);
            await StageToRunningAsync(large, ours, cancellationToken);
            // Into memory, as a workspace is; the upload to a folder, as the default store is.
            await tools.TimeAsync(() => Docker.ShellAsync(
                "curl -sS -T \"$1\" \"file://$2/stored\" && sync \"$2/stored\" && mkdir -p /dev/shm/crownest-bench "
                + "&& tar xzf \"$2/stored\" -C /dev/shm/crownest-bench", [large, _folder], cancellationToken));
            await Docker.ShellAsync("rm -rf /dev/shm/crownest-bench", [], cancellationToken);
        }

        report.AddRatio("archive of 200 MB, staged and extracted", ours, "`curl` to the store, then `tar xzf`", tools, 2);
    }

    private async Task ManyAsync(string archive, CancellationToken cancellationToken)
    {
        await waitForStock(cancellationToken);
        var watch = Stopwatch.StartNew();
        var evidence = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => RunAsync(archive, cancellationToken)));
        var failed = evidence.Count(e => e.Status != WorkspaceRunStatus.Succeeded);
        report.Add(new(
            $"{AtOnce} workspace runs started at once", $"{failed} errors, {watch.Elapsed.TotalSeconds:0.0} s for all", "–", "–", "no error",
            failed == 0));
    }

    /// <summary>A run from its creation to its evidence.</summary>
    private async Task<WorkspaceRunEvidence> RunAsync(string archive, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(archive);
        var run = await client.WorkspaceRuns.RunAsync(Request, file, onEvent: null, cancellationToken);
        return await client.WorkspaceRuns.GetEvidenceAsync(run.Id, cancellationToken);
    }

    /// <summary>Times from the announcement of the archive, whose digest is known by then, until its command runs.</summary>
    private async Task StageToRunningAsync(string archive, Samples samples, CancellationToken cancellationToken)
    {
        var runs = client.WorkspaceRuns;
        await using var file = File.OpenRead(archive);
        var described = await WorkspaceRunsClient.DescribeAsync(file, cancellationToken);
        var run = await runs.CreateAsync(Request, cancellationToken: cancellationToken);
        var started = Stopwatch.GetTimestamp();
        var transfer = await runs.CreateArchiveTransferAsync(run.Id, described, cancellationToken: cancellationToken);
        await runs.UploadArchiveToTransferAsync(transfer, file, cancellationToken);
        await runs.FinalizeArchiveAsync(run.Id, transfer.Id, described, cancellationToken: cancellationToken);
        await runs.StartAsync(run.Id, cancellationToken: cancellationToken);
        await foreach (var happened in runs.StreamAsync(run.Id, cancellationToken: cancellationToken))
        {
            if (happened.Status == WorkspaceRunStatus.Running)
            {
                samples.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }
    }

    /// <summary>Files of 100 KB of noise, so that the archive is as large as what is in it.</summary>
    private async Task<string> PackAsync(string name, int bytes, CancellationToken cancellationToken)
    {
        var source = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        const int each = 100_000;
        for (var i = 0; i < bytes / each; i++)
        {
            await File.WriteAllBytesAsync(Path.Combine(source, $"file-{i}"), RandomNumberGenerator.GetBytes(each), cancellationToken);
        }

        var path = Path.Combine(_folder, $"{name}.tar.gz");
        await Docker.ShellAsync("tar czf \"$1\" -C \"$2\" .", [path, source], cancellationToken);
        return path;
    }
}
