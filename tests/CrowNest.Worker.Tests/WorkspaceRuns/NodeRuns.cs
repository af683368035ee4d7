using System.Security.Cryptography;
using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Storage;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using CrowNest.Testing;
using Microsoft.Extensions.Options;
using Xunit;
using static CrowNest.Worker.Tests.Commands.NodeCommands;

namespace CrowNest.Worker.Tests.WorkspaceRuns;

/// <summary>What a run is to be.</summary>
internal sealed record TestRun(string Command)
{
    public byte[] Archive { get; init; } = TestArchive.Empty;
    public string[] Artifacts { get; init; } = [];
    public bool KeepSandbox { get; init; }
    public string? WarmSandboxId { get; init; }
    public long TimeoutMs { get; init; } = 60_000;
    public int Ceiling { get; init; } = 100;
    public long MaxUnpackedBytes { get; init; } = 64 * 1024 * 1024;
    public int MaxEntries { get; init; } = 5000;

    /// <summary>What the row says of the archive; null: the truth.</summary>
    public string? Sha256 { get; init; }

    /// <summary>false: whoever looks into the database finds it.</summary>
    public bool Enqueue { get; init; } = true;
}

/// <summary>Runs of a <see cref="TestNode"/>, as the API would ask for them.</summary>
internal static class NodeRuns
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static WorkspaceRunStore Runs(this TestNode node) => new(node.Database);

    /// <summary>Everything that the API does up to and with the start.</summary>
    public static async Task<string> StartRunAsync(this TestNode node, TestRun run)
    {
        var store = node.Runs();
        var objects = node.Get<IObjectStore>();
        var options = node.Get<IOptions<WorkerOptions>>().Value;
        var now = DateTimeOffset.UtcNow;
        var row = await store.InsertAsync(
            new NewWorkspaceRun
            {
                Id = Ids.New(Ids.WorkspaceRun),
                OrgId = "org_test",
                ProjectId = "prj_test",
                Command = run.Command,
                TimeoutMs = run.TimeoutMs,
                KeepSandbox = run.KeepSandbox,
                Metadata = new Dictionary<string, string> { ["of"] = "test" },
                Artifacts = [.. run.Artifacts.Select(path => new CollectItem(path))],
                Allowance = new RunAllowance(
                    run.Ceiling, NetworkPolicy.None, options.DefaultCpus, options.DefaultMemoryMb, 3_600_000, 64 * 1024 * 1024,
                    run.MaxUnpackedBytes, run.MaxEntries),
                TemplateId = "tpl_base",
                TemplateVersionId = node.BaseImage.VersionId,
                WarmSandboxId = run.WarmSandboxId,
                CreatedAt = now,
            },
            Told(WorkspaceRunStatus.AwaitingArchive), null, CancellationToken.None);
        var key = ObjectKey.RunArchive("org_test", row.Id, "a1");
        await objects.PutAsync(key, new MemoryStream(run.Archive), run.Archive.Length, CancellationToken.None);
        await store.MarkArchiveUploadedAsync(
            row.Id, run.Sha256 ?? Convert.ToHexStringLower(SHA256.HashData(run.Archive)), run.Archive.Length, key, now,
            [Told(WorkspaceRunStatus.ArchiveUploaded)], CancellationToken.None);
        await store.MarkStartingAsync(row.Id, now, Told(WorkspaceRunStatus.Starting), CancellationToken.None);
        if (run.Enqueue)
        {
            await node.Get<RunJobs>().EnqueueAsync(row.Id, run.WarmSandboxId is null ? null : node.Node.Id);
        }

        return row.Id;
    }

    /// <summary>Starts a run and returns its row when nothing is left to do.</summary>
    public static async Task<WorkspaceRunRow> RunAsync(this TestNode node, TestRun run) =>
        await node.RunEndsAsync(await node.StartRunAsync(run));

    public static async Task<WorkspaceRunRow> RunRowAsync(this TestNode node, string id) =>
        (await node.Runs().FindAsync(id, CancellationToken.None))!;

    public static Task<WorkspaceRunRow> RunBecomesAsync(this TestNode node, string id, Func<WorkspaceRunRow, bool> accept, string what) =>
        Eventually.GivesAsync(() => node.RunRowAsync(id), accept, what, Patience);

    public static Task<WorkspaceRunRow> RunEndsAsync(this TestNode node, string id) =>
        node.RunBecomesAsync(id, row => row.ClosedAt is not null, $"run {id} ends");

    /// <summary>What a cancel by the API does.</summary>
    public static async Task<WorkspaceRunRow?> CancelRunAsync(this TestNode node, string id, bool wake = true)
    {
        var row = await node.Runs().CancelAsync(
            Owner, id, DateTimeOffset.UtcNow, Told(WorkspaceRunStatus.Canceled), CancellationToken.None);
        if (wake)
        {
            await node.Get<RunWakeUps>().PublishAsync(id);
        }

        return row;
    }

    public static Task<List<WorkspaceRunEvent>> RunEventsAsync(this TestNode node, string id) =>
        node.Runs().ReadEventsAsync(id, 0, 1_000_000, CancellationToken.None);

    public static string Output(this IEnumerable<WorkspaceRunEvent> events, string type = WorkspaceRunEventType.Stdout) =>
        string.Concat(events.Where(e => e.Type == type).Select(e => e.Data));

    /// <summary>The statuses that were told, without those that only said what is waited for.</summary>
    public static string[] Statuses(this IEnumerable<WorkspaceRunEvent> events) =>
        [.. events.Where(e => e.Type == WorkspaceRunEventType.Status && e.Message is null).Select(e => e.Status!)];

    /// <summary>Reads the stored evidence and checks what must hold of every run that has ended.</summary>
    public static async Task<WorkspaceRunEvidence> CheckEndAsync(this TestNode node, WorkspaceRunRow row)
    {
        var path = Path.Combine(node.ObjectsDirectory, row.EvidenceKey!);
        var evidence = JsonSerializer.Deserialize<WorkspaceRunEvidence>(await File.ReadAllBytesAsync(path), CrowNestJson.Options)!;
        Assert.Equal(row.EvidenceSha256, RunEvidence.Digest(evidence));
        Assert.Equal(row.EvidenceSha256, evidence.EvidenceSha256);
        Assert.Equal((row.Status, row.FailureReason, row.ExitCode), (evidence.Status, evidence.FailureReason, evidence.ExitCode));
        Assert.Equal(row.ArtifactIds, evidence.ArtifactIds);
        var events = await node.RunEventsAsync(row.Id);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(n => (long)n), events.Select(e => e.Seq));
        Assert.Equal(WorkspaceRunEventType.Terminal, events[^1].Type);
        Assert.Equal(events.Count, evidence.TerminalEvent.Seq);
        Assert.Equal(row.Status, events[^1].WorkspaceRun!.Status);
        Assert.Equal(row.Status, events.Statuses()[^1]);
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(path)!));
        await Eventually.HoldsAsync(
            () => !File.Exists(Path.Combine(node.ObjectsDirectory, row.ArchiveKey!)), "the archive is removed");
        if (row.CleanupStatus == WorkspaceRunCleanup.Succeeded)
        {
            await using var sql = node.Database.CreateCommand(
                $"SELECT count(*) FROM sandboxes WHERE metadata->>'workspaceRunId' = '{row.Id}' AND state NOT IN ('destroyed', 'failed')");
            Assert.Equal(0L, await sql.ExecuteScalarAsync());
        }

        return evidence;
    }

    private static WorkspaceRunEvent Told(string status) =>
        new() { Type = WorkspaceRunEventType.Status, Seq = 0, CreatedAt = DateTimeOffset.UtcNow, Status = status };
}
