using System.Net;
using System.Security.Cryptography;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>Evidence must be true whatever happens to the machines: parts of the stack die at every stage of a run.</summary>
[Collection(StackFixture.Collection)]
public sealed class WorkspaceRunTests(StackFixture stack)
{
    private const int Lines = 200;

    /// <summary>Takes one or two seconds to unpack or to export, long enough to be met in the middle.</summary>
    private const long Large = 400L * 1000 * 1000;
    private static readonly string Counting = $"cat name; for i in $(seq 1 {Lines}); do echo $i; sleep 0.02; done; echo kept > out.txt";
    private static readonly string Counted = "crow\n" + string.Concat(Enumerable.Range(1, Lines).Select(i => $"{i}\n"));
    private readonly RunDriver _runs = new(stack.Http);

    [Theory]
    [InlineData(WorkspaceRunStatus.Starting, 0)]
    [InlineData(WorkspaceRunStatus.Extracting, Large)]
    [InlineData(WorkspaceRunStatus.Running, 0)]
    public async Task Worker_KilledInThatStage_RunEndsAsIfNothingHadHappened(string stage, long zeros)
    {
        var id = await _runs.StartAsync(Request(Counting, "out.txt"), RunArchive.Of("name", "crow\n", zeros));
        // In the middle of the stage: of a running command some output is there.
        await _runs.FollowAsync(id, e => stage == WorkspaceRunStatus.Running ? e.Type == WorkspaceRunEventType.Stdout : e.Status == stage);
        await stack.App.KillResourceAsync("worker");
        await stack.HealthyAsync("worker");

        var events = await SucceededAsync(id);
        Assert.Equal(Counted, Stdout(events));
        Assert.Equal("kept\n", Assert.Single(await ContentsAsync(id)));
    }

    [Fact]
    public async Task Worker_KilledWhileCollecting_KeepsEveryFileOnce()
    {
        var id = await _runs.StartAsync(
            Request($"head -c {Large} /dev/zero > large; echo kept > out.txt", "large", "out.txt", "missing"), RunArchive.Of("name", "crow\n"));
        await _runs.FollowAsync(id, e => e.Status == WorkspaceRunStatus.Collecting);
        await stack.App.KillResourceAsync("worker");
        await stack.HealthyAsync("worker");

        await SucceededAsync(id);
        var run = await _runs.GetAsync(id);
        Assert.Equal(2, run.ArtifactIds!.Count);
        Assert.Equal(("file_not_found", "missing"), (run.ArtifactErrors!.Single().Code, Path.GetFileName(run.ArtifactErrors!.Single().Path)));
        var listed = await stack.Client.Artifacts.ListAsync(new() { SandboxId = run.SandboxId });
        Assert.Equal(run.ArtifactIds.Order(), listed.Data.Select(a => a.Id).Order());
        Assert.Contains(listed.Data, a => a.SizeBytes == Large);
    }

    [Fact]
    public async Task Api_KilledDuringUpload_LeavesNothingHalfAndTakesTheNextOne()
    {
        var archive = RunArchive.Of("name", $"crow\n{Convert.ToHexString(RandomNumberGenerator.GetBytes(100_000))}");
        var id = await _runs.CreateAsync(Request("head -1 name"));
        var transfer = await _runs.AnnounceAsync(id, archive);
        var sending = SendSlowlyAsync(transfer, archive);
        await Eventually.HoldsAsync(() => sending.Begun, "the upload has begun");
        await stack.App.KillResourceAsync("api");
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => sending.Done);
        await stack.AnswersAgainAsync();

        Assert.Equal(WorkspaceRunStatus.AwaitingArchive, (await _runs.GetAsync(id)).Status);
        using (var again = await stack.Http.PutAsync(transfer.UploadUrl, new ByteArrayContent(archive.Bytes)))
        {
            Assert.Equal(HttpStatusCode.NoContent, again.StatusCode);
        }

        await _runs.FinalizeAsync(id, transfer, archive);
        await _runs.StartAsync(id);
        Assert.Equal("crow\n", Stdout(await SucceededAsync(id)));
    }

    [Fact]
    public async Task Api_KilledWhileStreaming_FollowerMissesNothing()
    {
        var id = await _runs.StartAsync(Request(Counting), RunArchive.Of("name", "crow\n"));
        var following = _runs.FollowAsync(id);
        await _runs.FollowAsync(id, e => e.Type == WorkspaceRunEventType.Stdout);
        await stack.App.KillResourceAsync("api");

        Assert.Equal(Counted, Stdout(await following));
        Assert.Equal(Counted, Stdout(await SucceededAsync(id)));
    }

    [Fact]
    public async Task Redis_StoppedDuringARun_ChangesNothing()
    {
        var running = await _runs.StartAsync(Request(Counting), RunArchive.Of("name", "crow\n"));
        await _runs.FollowAsync(running, e => e.Type == WorkspaceRunEventType.Stdout);
        await stack.App.StopResourceAsync("redis");
        // One that is started meanwhile is found without the job stream.
        var started = await _runs.StartAsync(Request("cat name"), RunArchive.Of("name", "crow\n"));
        Assert.Equal("crow\n", Stdout(await SucceededAsync(started)));
        await stack.App.StartResourceAsync("redis");
        await stack.HealthyAsync("redis");

        Assert.Equal(Counted, Stdout(await SucceededAsync(running)));
    }

    [Fact]
    public async Task ObjectStore_FailingAtEvidenceTime_RunWaitsAndSaysSo()
    {
        // Where the evidence's folder is to be, a file is in the way: nobody's privileges help against that.
        var evidence = Path.Combine(stack.ObjectsDirectory, "evidence");
        var aside = evidence + "-aside";
        if (Directory.Exists(evidence))
        {
            Directory.Move(evidence, aside);
        }

        await File.WriteAllTextAsync(evidence, "in the way");
        string id;
        try
        {
            id = await _runs.StartAsync(Request("cat name"), RunArchive.Of("name", "crow\n"));
            var told = await _runs.FollowAsync(id, e => e is { Type: WorkspaceRunEventType.Status, Message: not null });
            Assert.False(WorkspaceRunStatus.IsFinal(told[^1].Status!));
            var waiting = await _runs.GetAsync(id);
            Assert.False(waiting.EvidenceAvailable || WorkspaceRunStatus.IsFinal(waiting.Status));
            using var refused = await stack.Http.GetAsync($"v1/workspace-runs/{id}/evidence");
            Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        }
        finally
        {
            File.Delete(evidence);
            if (Directory.Exists(aside))
            {
                Directory.Move(aside, evidence);
            }
        }

        Assert.Equal("crow\n", Stdout(await SucceededAsync(id)));
    }

    [Fact]
    public async Task Runs_TwentyAtOnce_AllSucceed()
    {
        var archive = RunArchive.Of("name", "crow\n");
        var ids = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _runs.StartAsync(Request("cat name"), archive)));
        foreach (var id in ids)
        {
            Assert.Equal("crow\n", Stdout(await SucceededAsync(id)));
        }
    }

    private static object Request(string command, params string[] artifacts) =>
        new { command, template = "base", artifacts = artifacts.Select(path => new { path }).ToArray() };

    private static string Stdout(IEnumerable<WorkspaceRunEvent> events) =>
        string.Concat(events.Where(e => e.Type == WorkspaceRunEventType.Stdout).Select(e => e.Data));

    /// <summary>Waits for the end and holds everything that is said of the run against each other.</summary>
    private async Task<List<WorkspaceRunEvent>> SucceededAsync(string id)
    {
        var events = await _runs.FollowAsync(id);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(n => (long)n), events.Select(e => e.Seq));
        var run = await _runs.GetAsync(id);
        Assert.True(run.Status == WorkspaceRunStatus.Succeeded, $"{run.Status} {run.FailureReason} {run.FailureMessage}");
        Assert.Equal((0, WorkspaceRunCleanup.Succeeded, true), (run.ExitCode, run.CleanupStatus, run.OrchestrationSucceeded));
        Assert.Equal(run.Status, events[^1].WorkspaceRun!.Status);

        var evidence = await _runs.EvidenceAsync(id);
        Assert.Equal(RunEvidence.Digest(evidence), evidence.EvidenceSha256);
        Assert.Equal((run.Status, run.Archive!.Sha256, events[^1].Seq), (evidence.Status, evidence.Archive!.Sha256, evidence.TerminalEvent.Seq));
        Assert.Equal(run.ArtifactIds!, evidence.ArtifactIds);
        var sandbox = await stack.Client.Sandboxes.GetAsync(run.SandboxId!);
        Assert.Equal((SandboxStatus.Destroyed, DestroyedReason.PlatformCleanup), (sandbox.Status, sandbox.DestroyedReason));
        return events;
    }

    private async Task<List<string>> ContentsAsync(string id)
    {
        var contents = new List<string>();
        foreach (var artifact in (await _runs.GetAsync(id)).ArtifactIds!)
        {
            await using var download = await stack.Client.Artifacts.OpenAsync(artifact);
            using var reader = new StreamReader(download.Content);
            contents.Add(await reader.ReadToEndAsync());
        }

        return contents;
    }

    private SlowUpload SendSlowlyAsync(ArchiveTransfer transfer, RunArchive archive)
    {
        var content = new SlowContent(archive.Bytes);
        return new SlowUpload(content, stack.Http.PutAsync(transfer.UploadUrl, content));
    }

    private sealed class SlowUpload(SlowContent content, Task done)
    {
        public bool Begun => content.Begun;

        public Task Done => done;
    }

    /// <summary>Half of an archive, and then so little at a time that the connection breaks first.</summary>
    private sealed class SlowContent(byte[] bytes) : HttpContent
    {
        public bool Begun { get; private set; }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.WriteAsync(bytes.AsMemory(0, bytes.Length / 2), cancellationToken);
            await stream.FlushAsync(cancellationToken);
            Begun = true;
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            for (var at = bytes.Length / 2; at < bytes.Length && await timer.WaitForNextTickAsync(cancellationToken); at++)
            {
                await stream.WriteAsync(bytes.AsMemory(at, 1), cancellationToken);
                await stream.FlushAsync(cancellationToken);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = bytes.Length;
            return true;
        }
    }
}
