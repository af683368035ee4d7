using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

public sealed class WorkspaceRunStoreTests(StoreFixture fixture) : IClassFixture<StoreFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
    private static readonly StoredEvidence Evidence = new("evidence/org/run/1", new string('a', 64));
    private readonly WorkspaceRunStore _runs = new(fixture.Database);

    [Fact]
    public async Task Steps_FromCreationToClose_TellEveryEventOnceInOrder()
    {
        var (tenant, id) = await StartedAsync();
        const string Worker = "wrk_a";
        Assert.Equal(Worker, (await _runs.ClaimAsync(id, Worker, Now, default))!.ClaimedBy);
        Assert.Equal("sbx_1", (await _runs.AssignSandboxAsync(id, Worker, "sbx_1", default))!.SandboxId);
        await _runs.AdvanceAsync(id, Worker, WorkspaceRunStatus.Extracting, Told(WorkspaceRunStatus.Extracting), default);
        await _runs.AdvanceAsync(id, Worker, WorkspaceRunStatus.Running, Told(WorkspaceRunStatus.Running), default);
        Assert.NotNull(await _runs.AssignCommandAsync(id, Worker, "cmd_1", default));
        Assert.Null(await _runs.AssignCommandAsync(id, Worker, "cmd_2", default));

        // A NUL and half of what Unicode calls text: output is bytes that happen to print.
        var output = new[] { Output("a\0\u001b[1m"), Output("b") };
        Assert.NotNull(await _runs.AppendOutputAsync(id, Worker, 0, 2, 5, false, output, default));
        Assert.Null(await _runs.AppendOutputAsync(id, Worker, 0, 2, 5, false, output, default));
        await _runs.AdvanceAsync(id, Worker, WorkspaceRunStatus.Collecting, Told(WorkspaceRunStatus.Collecting), default);
        await _runs.AddCollectedAsync(id, Worker, "art_1", null, Told(WorkspaceRunStatus.Collecting), default);
        var failure = new CollectFailure("file_not_found", "It is not there.", "x");
        var row = (await _runs.AddCollectedAsync(id, Worker, null, failure, Told(WorkspaceRunStatus.Collecting), default))!;
        Assert.Equal(("art_1", failure), (Assert.Single(row.ArtifactIds), Assert.Single(row.ArtifactErrors)));

        var end = new WorkspaceRunEnd(WorkspaceRunStatus.Failed, Now, WorkspaceRunFailure.CommandExit);
        Assert.Null(await _runs.FinishAsync(id, Worker, end, Evidence, row.LastSeq - 1, Told(end.Status), default));
        row = (await _runs.FinishAsync(id, Worker, end, Evidence, row.LastSeq, Told(end.Status), default))!;
        Assert.Equal((WorkspaceRunFailure.ClassUserCommand, true), (row.FailureClass, row.OrchestrationSucceeded));
        Assert.Equal(WorkspaceRunCleanup.Succeeded, (await _runs.SaveCleanupAsync(id, WorkspaceRunCleanup.Succeeded, default))!.CleanupStatus);
        Assert.NotNull(await _runs.CloseAsync(id, new() { Type = WorkspaceRunEventType.Terminal, Seq = 0, CreatedAt = Now }, Now, default));
        Assert.Null(await _runs.CloseAsync(id, new() { Type = WorkspaceRunEventType.Terminal, Seq = 0, CreatedAt = Now }, Now, default));
        Assert.Null(await _runs.AppendAsync(id, Worker, [Told("late")], default));

        var events = await _runs.ReadEventsAsync(id, 0, 100, default);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(n => (long)n), events.Select(e => e.Seq));
        Assert.Equal("a\0\u001b[1m", events.First(e => e.Type == WorkspaceRunEventType.Stdout).Data);
        Assert.Equal(WorkspaceRunEventType.Terminal, events[^1].Type);
        Assert.Equal([events[4], events[5]], await _runs.ReadEventsAsync(id, 4, 2, default));
        Assert.Equal(id, Assert.Single(await _runs.ListAsync(tenant.Ownership, new() { Limit = 10, Status = "failed" }, default)).Id);
    }

    [Fact]
    public async Task Append_ManyAtOnce_GivesEachEventItsOwnNumberInItsOwnOrder()
    {
        var (_, id) = await StartedAsync();
        Assert.NotNull(await _runs.ClaimAsync(id, "wrk_a", Now, default));
        var before = (await _runs.FindAsync(id, default))!.LastSeq;

        await Task.WhenAll(Enumerable.Range(0, 10).Select(n =>
            _runs.AppendAsync(id, "wrk_a", [.. Enumerable.Range(0, 5).Select(m => Output($"{n}.{m}"))], default)));

        var events = await _runs.ReadEventsAsync(id, before, 100, default);
        Assert.Equal(Enumerable.Range((int)before + 1, 50).Select(n => (long)n), events.Select(e => e.Seq));
        Assert.Equal(before + 50, (await _runs.FindAsync(id, default))!.LastSeq);
        // What one call brought stands together, as it was given.
        Assert.All(events.Select(e => e.Data!).Chunk(5), five =>
            Assert.Equal(Enumerable.Range(0, 5).Select(m => $"{five[0].Split('.')[0]}.{m}"), five));
    }

    [Theory]
    [InlineData("wrk_a", 0, WorkspaceRunStatus.Running, true)]
    [InlineData("wrk_a", 1, WorkspaceRunStatus.Running, false)]
    [InlineData("wrk_b", 0, WorkspaceRunStatus.Running, false)]
    [InlineData("wrk_a", 0, WorkspaceRunStatus.Canceled, false)]
    public async Task AppendOutput_NotWhereItContinuesTheOutput_ChangesNothing(string worker, long from, string status, bool appends)
    {
        var (tenant, id) = await StartedAsync();
        Assert.NotNull(await _runs.ClaimAsync(id, "wrk_a", Now, default));
        await _runs.AdvanceAsync(id, "wrk_a", WorkspaceRunStatus.Extracting, Told("extracting"), default);
        await _runs.AdvanceAsync(id, "wrk_a", WorkspaceRunStatus.Running, Told("running"), default);
        if (status == WorkspaceRunStatus.Canceled)
        {
            Assert.NotNull(await _runs.CancelAsync(tenant.Ownership, id, Now, Told("canceled"), default));
        }

        var before = (await _runs.FindAsync(id, default))!;
        var row = await _runs.AppendOutputAsync(id, worker, from, from + 2, 7, true, [Output("a"), Output("b")], default);

        Assert.Equal(appends, row is not null);
        var after = (await _runs.FindAsync(id, default))!;
        var grown = appends ? 2 : 0;
        Assert.Equal(
            (before.LastSeq + grown, (long)grown, appends ? 7L : 0, appends),
            (after.LastSeq, after.OutputSeq, after.OutputBytes, after.OutputTruncated));
        Assert.Equal(grown, (await _runs.ReadEventsAsync(id, before.LastSeq, 100, default)).Count);
    }

    [Fact]
    public async Task FinishAndSaveEvidence_AfterEventsThatTheEvidenceDoesNotKnow_ChangeNothing()
    {
        var (_, id) = await StartedAsync();
        Assert.NotNull(await _runs.ClaimAsync(id, "wrk_a", Now, default));
        var known = (await _runs.AdvanceAsync(id, "wrk_a", WorkspaceRunStatus.Extracting, Told("extracting"), default))!.LastSeq;
        Assert.NotNull(await _runs.AppendAsync(id, "wrk_a", [Output("one more")], default));
        var end = new WorkspaceRunEnd(WorkspaceRunStatus.Failed, Now, WorkspaceRunFailure.ExtractionFailed);

        Assert.Null(await _runs.FinishAsync(id, "wrk_a", end, Evidence, known, Told("failed"), default));
        Assert.Null(await _runs.FinishAsync(id, "wrk_a", end, Evidence, known + 2, Told("failed"), default));
        Assert.Null(await _runs.FinishAsync(id, "wrk_b", end, Evidence, known + 1, Told("failed"), default));
        Assert.False((await _runs.FindAsync(id, default))!.IsFinal);
        Assert.NotNull(await _runs.FinishAsync(id, "wrk_a", end, Evidence, known + 1, Told("failed"), default));
    }

    [Fact]
    public async Task FindListCancel_OfAnotherOrganizationOrProject_AreNothing()
    {
        var (tenant, id) = await StartedAsync();
        var stranger = await fixture.AddTenantAsync();
        Ownership[] others = [stranger.Ownership, new(tenant.OrgId, ["prj_other"]), new(tenant.OrgId, [])];

        foreach (var other in others)
        {
            Assert.Null(await _runs.FindAsync(other, id, default));
            Assert.Empty(await _runs.ListAsync(other, new() { Limit = 10 }, default));
            Assert.Null(await _runs.CancelAsync(other, id, Now, Told("canceled"), default));
        }

        var own = new Ownership(tenant.OrgId, [tenant.ProjectId]);
        Assert.Equal(WorkspaceRunStatus.Starting, (await _runs.FindAsync(own, id, default))!.Status);
        Assert.Single(await _runs.ListAsync(own, new() { Limit = 10 }, default));
        Assert.NotNull(await _runs.CancelAsync(own, id, Now, Told("canceled"), default));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(-1, true)]
    public async Task Claim_AroundTheLapse_IsForOthersOnlyBehindIt(int leftMs, bool lapsed)
    {
        var (_, id) = await StartedAsync();
        var (holder, other) = (Ids.New(Ids.Worker), Ids.New(Ids.Worker));
        await AddWorkerAsync(holder, Now.AddMilliseconds(leftMs));
        Assert.NotNull(await _runs.ClaimAsync(id, holder, Now.AddHours(-1), default));

        Assert.Equal(lapsed, (await _runs.ListClaimableAsync(other, Now, 1000, default)).Contains(id));
        Assert.Equal(lapsed, await _runs.ClaimAsync(id, other, Now, default) is not null);
    }

    [Fact]
    public async Task Claim_ByTheOneWithTheLease_ShutsOthersOutUntilItLapses()
    {
        var (_, id) = await StartedAsync();
        await AddWorkerAsync("wrk_living", Now.AddSeconds(5));
        await AddWorkerAsync("wrk_other", Now.AddHours(1));
        Assert.NotNull(await _runs.ClaimAsync(id, "wrk_living", Now, default));
        Assert.Null(await _runs.ClaimAsync(id, "wrk_other", Now, default));
        Assert.DoesNotContain(id, await _runs.ListClaimableAsync("wrk_other", Now, 1000, default));
        Assert.Contains(id, await _runs.ListClaimableAsync("wrk_living", Now, 1000, default));
        Assert.Null(await _runs.AdvanceAsync(id, "wrk_other", WorkspaceRunStatus.Extracting, Told("x"), default));

        var later = Now.AddSeconds(6);
        Assert.Contains(id, await _runs.ListClaimableAsync("wrk_other", later, 1000, default));
        Assert.NotNull(await _runs.ClaimAsync(id, "wrk_other", later, default));
        // The one that was frozen beyond its lease finds that it carries nothing any more.
        Assert.Null(await _runs.AdvanceAsync(id, "wrk_living", WorkspaceRunStatus.Extracting, Told("x"), default));
    }

    [Fact]
    public async Task Cancel_InAnyStage_IsFinalOnceAndOnlyForItsOwner()
    {
        var (tenant, id) = await StartedAsync();
        var stranger = await fixture.AddTenantAsync();
        Assert.Null(await _runs.CancelAsync(stranger.Ownership, id, Now, Told("canceled"), default));
        var row = (await _runs.CancelAsync(tenant.Ownership, id, Now, Told("canceled"), default))!;
        Assert.Equal((WorkspaceRunStatus.Canceled, "canceled", "pending"), (row.Status, row.FailureClass, row.CleanupStatus));
        Assert.Null(await _runs.CancelAsync(tenant.Ownership, id, Now, Told("canceled"), default));
        Assert.Null(await _runs.CloseAsync(id, new() { Type = WorkspaceRunEventType.Terminal, Seq = 0, CreatedAt = Now }, Now, default));
        Assert.NotNull(await _runs.ClaimAsync(id, "wrk_a", Now, default));
        Assert.NotNull(await _runs.SaveEvidenceAsync(id, "wrk_a", Evidence, row.LastSeq, default));
        Assert.Null(await _runs.SaveEvidenceAsync(id, "wrk_a", Evidence with { Key = "other" }, row.LastSeq, default));
    }

    [Fact]
    public async Task List_OfAbandoned_HasWhatNoWorkerWillEverTake()
    {
        var tenant = await fixture.AddTenantAsync();
        var never = await CreatedAsync(tenant);
        var canceled = await CreatedAsync(tenant);
        await _runs.CancelAsync(tenant.Ownership, canceled, Now, Told("canceled"), default);
        var (_, stranded) = await StartedAsync();
        var unstarted = await CreatedAsync(tenant);
        Assert.NotNull(await _runs.MarkArchiveUploadedAsync(unstarted, "a", 3, "archives/y", Now, [Told("archive_uploaded")], default));
        async Task<List<string>> AbandonedAsync(DateTimeOffset before) =>
            await _runs.ListAbandonedAsync(before, before, before, 1000, default);
        var soon = await AbandonedAsync(Now.AddHours(-1));
        Assert.Contains(canceled, soon);
        Assert.DoesNotContain(never, soon);
        Assert.DoesNotContain(stranded, soon);
        Assert.DoesNotContain(unstarted, soon);
        var late = await AbandonedAsync(Now.AddHours(1));
        Assert.Contains(never, late);
        Assert.Contains(stranded, late);
        Assert.Contains(unstarted, late);
    }

    /// <summary>A run is given up only when it was unclaimed, or its worker without a lease, for the whole time.</summary>
    [Theory]
    [InlineData(-1, 0, false)]
    [InlineData(0, -1, false)]
    [InlineData(-1, -1, true)]
    public async Task ListAbandoned_AroundTheTimeToBeClaimed_HasOnlyWhatIsPastIt(int startedMs, int leaseMs, bool abandoned)
    {
        var before = Now.AddMinutes(10);
        var (_, id) = await StartedAsync(before.AddMilliseconds(startedMs));
        var worker = Ids.New(Ids.Worker);
        await AddWorkerAsync(worker, before.AddMilliseconds(leaseMs));
        Assert.NotNull(await _runs.ClaimAsync(id, worker, Now, default));

        var listed = await _runs.ListAbandonedAsync(Now.AddDays(-1), Now.AddDays(-1), before, 1000, default);

        Assert.Equal(abandoned, listed.Contains(id));
    }

    [Fact]
    public async Task Withdraw_OfARunThatWasStartedMeanwhile_ChangesNothing()
    {
        var (_, started) = await StartedAsync();
        Assert.Null(await _runs.WithdrawAsync(started, Now, "too late", Told(WorkspaceRunStatus.Canceled), default));
        Assert.Equal(WorkspaceRunStatus.Starting, (await _runs.FindAsync(started, default))!.Status);
    }

    [Fact]
    public async Task Transfer_Superseded_TakesNoMoreBytes()
    {
        var transfers = new ArchiveTransferStore(fixture.Database);
        var run = await CreatedAsync(await fixture.AddTenantAsync());
        var first = await transfers.InsertAsync(Ids.New(Ids.Upload), run, "a", 1, Now, Now.AddMinutes(10), default);
        var second = await transfers.InsertAsync(Ids.New(Ids.Upload), run, "b", 2, Now, Now.AddMinutes(10), default);
        var until = Now.AddMinutes(10);
        Assert.Null(await transfers.MarkUploadedAsync(first.Id, "k1", "a", 1, Now, until, default));
        Assert.Equal("", await transfers.MarkUploadedAsync(second.Id, "k2", "x", 2, Now, until, default));
        Assert.Equal("k2", await transfers.MarkUploadedAsync(second.Id, "k3", "b", 2, Now, until, default));
        Assert.Null(await transfers.MarkUploadedAsync(second.Id, "k4", "b", 2, until, until, default));
        Assert.False(await transfers.MarkFinalizedAsync(second.Id, "k2", default));
        Assert.True(await transfers.MarkFinalizedAsync(second.Id, "k3", default));
        Assert.True(await transfers.MarkFinalizedAsync(second.Id, "k3", default));
        Assert.False(await transfers.MarkFinalizedAsync(second.Id, "k2", default));
        Assert.False(await transfers.MarkFinalizedAsync(first.Id, "k1", default));
        Assert.Equal(ArchiveTransferStatus.Expired, (await transfers.FindAsync(run, first.Id, default))!.Status);
        Assert.Null(await transfers.FindAsync("wsr_other", second.Id, default));
    }

    private async Task<string> CreatedAsync(Tenant tenant)
    {
        var row = await _runs.InsertAsync(
            new NewWorkspaceRun
            {
                Id = Ids.New(Ids.WorkspaceRun),
                OrgId = tenant.OrgId,
                ProjectId = tenant.ProjectId,
                Command = "make test",
                TimeoutMs = 60_000,
                KeepSandbox = false,
                Metadata = new Dictionary<string, string> { ["a.b"] = "c" },
                Artifacts = [new CollectItem("out.txt")],
                Allowance = new RunAllowance(25, NetworkPolicy.None, 1, 1024, 1000, 1000, 1000, 10),
                TemplateId = fixture.Version.TemplateId,
                TemplateVersionId = fixture.Version.Id,
                CreatedAt = Now,
            },
            Told(WorkspaceRunStatus.AwaitingArchive), null, default);
        Assert.Equal((WorkspaceRunStatus.AwaitingArchive, 1L, "base"), (row.Status, row.LastSeq, row.TemplateSlug));
        return row.Id;
    }

    private async Task<(Tenant Tenant, string Id)> StartedAsync(DateTimeOffset? at = null)
    {
        var tenant = await fixture.AddTenantAsync();
        var id = await CreatedAsync(tenant);
        Assert.Null(await _runs.MarkStartingAsync(id, Now, Told("starting"), default));
        Assert.NotNull(await _runs.MarkArchiveUploadedAsync(id, new string('b', 64), 3, "archives/x", Now, [Told("archive_uploaded")], default));
        Assert.NotNull(await _runs.MarkStartingAsync(id, at ?? Now, Told("starting"), default));
        return (tenant, id);
    }

    private async Task AddWorkerAsync(string id, DateTimeOffset leaseExpiresAt)
    {
        await using var db = fixture.OpenModel();
        db.Workers.Add(new WorkerEntity { Id = id, Url = "http://127.0.0.1:1", Runtime = "runc", StartedAt = Now, LeaseExpiresAt = leaseExpiresAt });
        await db.SaveChangesAsync();
    }

    private static WorkspaceRunEvent Told(string status) => new() { Type = WorkspaceRunEventType.Status, Seq = 0, CreatedAt = Now, Status = status };

    private static WorkspaceRunEvent Output(string data) => new() { Type = WorkspaceRunEventType.Stdout, Seq = 0, CreatedAt = Now, Data = data };
}
