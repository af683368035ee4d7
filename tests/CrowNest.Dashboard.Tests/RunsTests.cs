using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

[Trait("Needs", "browser")]
public sealed class RunsTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    private FakeApi Api => dashboard.Api;

    [Fact]
    public async Task List_FilteredAndPaged_LeadsToARun()
    {
        for (var i = 0; i < 58; i++)
        {
            var age = i;
            Api.AddRun("runs", "true", run => run with { CreatedAt = DateTimeOffset.UtcNow.AddMinutes(-10 - age) });
        }

        var failed = Api.AddRun("runs", "pytest -q").End(WorkspaceRunStatus.Failed, run => run with
        {
            FailureReason = WorkspaceRunFailure.CommandExit,
            ExitCode = 3,
        });
        var running = Api.AddRun("runs", "npm test").Enter(WorkspaceRunStatus.Running);
        await using var visitor = await dashboard.NewVisitorAsync("runs");
        var page = visitor.Page;
        await page.Keyboard.PressAsync("g");
        await page.Keyboard.PressAsync("r");
        var rows = page.Locator("tbody tr");
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 50, "a full page");
        Assert.Contains("Running", await rows.First.InnerTextAsync(), StringComparison.Ordinal);
        var row = page.GetByRole(AriaRole.Row).Filter(new() { HasText = "pytest -q" });
        Assert.Contains("Exit code 3", await row.InnerTextAsync(), StringComparison.Ordinal);
        Assert.Contains("12.3 s", await row.InnerTextAsync(), StringComparison.Ordinal);
        await page.GetByRole(AriaRole.Link, new() { Name = "Older" }).ClickAsync();
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 10, "the rest");
        await page.GetByRole(AriaRole.Link, new() { Name = "Newest" }).ClickAsync();
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 50, "the first page again");

        await page.GetByLabel("Status").SelectOptionAsync("Failed");
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 1, "the failed one");
        await page.GetByLabel("Status").SelectOptionAsync("Extracting");
        await page.GetByText("None with this status").WaitForAsync();
        await page.GetByLabel("Status").SelectOptionAsync("Running");
        await page.GetByRole(AriaRole.Link, new() { Name = "npm test" }).ClickAsync();
        await visitor.ReachesAsync($"/runs/{running.Id}");
        await page.Keyboard.PressAsync("u");
        await page.GetByRole(AriaRole.Heading, new() { Name = "Workspace runs" }).WaitForAsync();
        Assert.NotNull(failed);
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Run_FollowedLive_ShowsStagesOutputArtifactsAndEvidence()
    {
        var run = Api.AddRun("follow", "make test").Enter(WorkspaceRunStatus.AwaitingArchive);
        await using var visitor = await dashboard.NewVisitorAsync("follow");
        var page = visitor.Page;
        await page.GotoAsync($"/runs/{run.Id}");
        var stages = page.Locator(".stages li");
        await stages.GetByText("Waiting for the archive").WaitForAsync();
        await page.GetByText("The command has not begun.").WaitForAsync();
        await Assertions.Expect(page.Locator(".output-frame")).ToBeHiddenAsync();
        await Assertions.Expect(page.Locator(".follow-state")).ToHaveTextAsync("");
        await visitor.ScreenshotAsync("run-awaiting-light");

        run.Tell(WorkspaceRunEventType.ArchiveProgress, told => told with { ReceivedBytes = 1024 * 1024, SizeBytes = 4 * 1024 * 1024 });
        await page.GetByText("of 4.0 MiB received").WaitForAsync();
        run.Enter(WorkspaceRunStatus.ArchiveUploaded).Enter(WorkspaceRunStatus.Starting).Enter(WorkspaceRunStatus.Extracting);
        await stages.GetByText("Unpacking the archive").WaitForAsync();
        Assert.Equal("step", await stages.Nth(3).GetAttributeAsync("aria-current"));
        run.Enter(WorkspaceRunStatus.Running).Write("\u001b[32mok 1\u001b[0m\n").Write("warning\n", WorkspaceRunEventType.Stderr);
        var lines = page.Locator(".output-lines .line");
        await lines.GetByText("ok 1").WaitForAsync();
        await lines.GetByText("warning").WaitForAsync();
        await Assertions.Expect(page.GetByText("The command has not begun.")).ToHaveCountAsync(0);
        Assert.Equal("line err", await lines.GetByText("warning").GetAttributeAsync("class"));
        await Assertions.Expect(page.Locator(".follow-state")).ToHaveTextAsync("Live");
        run.BreakConnections();
        run.Write("ok 2\n");
        await lines.GetByText("ok 2").WaitForAsync();

        var artifact = Api.AddArtifact("follow", "sbx_run", "reports/coverage.xml", new byte[2048]);
        run.Enter(WorkspaceRunStatus.Collecting)
            .Tell(WorkspaceRunEventType.ArtifactCollected, told => told with { ArtifactId = artifact.Id, Path = "/workspace/coverage.xml" })
            .Tell(WorkspaceRunEventType.ArtifactCollected, told => told with { ArtifactId = "art_gone", Path = "/workspace/expired.txt" })
            .Tell(WorkspaceRunEventType.ArtifactError, told => told with
            {
                Error = new CollectError(ErrorCodes.FileNotFound, "There is no such file.", "/workspace/missing.xml"),
            })
            .Enter(WorkspaceRunStatus.Collecting, "The object store does not answer; trying again.");
        await page.GetByText("The object store does not answer").WaitForAsync();
        await page.GetByText("/workspace/missing.xml").WaitForAsync();
        await page.GetByText("/workspace/expired.txt").WaitForAsync();
        await page.GetByRole(AriaRole.Row).Filter(new() { HasText = "reports/coverage.xml" }).WaitForAsync();
        await visitor.ScreenshotAsync("run-live-light");
        Assert.Equal(0, await page.GetByRole(AriaRole.Heading, new() { Name = "Evidence" }).CountAsync());

        run.End(WorkspaceRunStatus.Succeeded, current => current with { ExitCode = 0 });
        await page.Locator(".status", new() { HasText = "Succeeded" }).WaitForAsync();
        await page.GetByText("Complete").WaitForAsync();
        await page.GetByText($"\"workspaceRunId\": \"{run.Id}\"").WaitForAsync();
        Assert.Equal(["ok 1", "warning", "ok 2"], await lines.AllInnerTextsAsync());
        await Assertions.Expect(stages).ToHaveCountAsync(7);
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Cancel run" })).ToHaveCountAsync(0);
        var copied = await page.GetByRole(AriaRole.Button, new() { Name = "Copy", Exact = true }).GetAttributeAsync("data-copy");
        Assert.Equal(run.Id, JsonDocument.Parse(copied!).RootElement.GetProperty("workspaceRunId").GetString());
        Assert.Equal(new string('e', 64), await page.Locator("[aria-label='Copy SHA-256 of the evidence']").GetAttributeAsync("data-copy"));

        var json = await page.RunAndWaitForDownloadAsync(() =>
            page.GetByRole(AriaRole.Link, new() { Name = "Download JSON" }).ClickAsync());
        Assert.Equal($"{run.Id}-evidence.json", json.SuggestedFilename);
        Assert.Equal(copied, await File.ReadAllTextAsync(await json.PathAsync()));
        var jws = await page.RunAndWaitForDownloadAsync(() => page.GetByRole(AriaRole.Link, new() { Name = "Download JWS" }).ClickAsync());
        Assert.Equal($"{run.Id}-evidence.jws", jws.SuggestedFilename);
        Assert.Equal(FakeApi.Jws, await File.ReadAllTextAsync(await jws.PathAsync()));
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Run_ApiAway_ContinuesWithoutGapOrDuplicate()
    {
        var run = Api.AddRun("run-away", "seq 3").Enter(WorkspaceRunStatus.Running).Write("one\n");
        await using var visitor = await dashboard.NewVisitorAsync("run-away");
        await visitor.Page.GotoAsync($"/runs/{run.Id}");
        var lines = visitor.Page.Locator(".output-lines .line");
        await lines.GetByText("one").WaitForAsync();
        Api.IsAway = true;
        try
        {
            run.BreakConnections();
            run.Write("two\n");
            await visitor.Page.GetByText("Connection lost").WaitForAsync();
            await visitor.Page.GetByText("The API does not answer.").WaitForAsync();
        }
        finally
        {
            Api.IsAway = false;
        }

        run.Write("three\n").End(WorkspaceRunStatus.Succeeded, current => current with { ExitCode = 0 });

        await visitor.Page.GetByText("Complete").WaitForAsync(new() { Timeout = 30_000 });
        Assert.Equal(["one", "two", "three"], await lines.AllInnerTextsAsync());
        await Assertions.Expect(visitor.Page.Locator(".stages li")).ToHaveCountAsync(2);
    }

    [Fact]
    public async Task Run_Canceled_AsksFirstAndShowsItsEvidence()
    {
        var run = Api.AddRun("run-cancel", "sleep infinity").Enter(WorkspaceRunStatus.Running);
        await using var visitor = await dashboard.NewVisitorAsync("run-cancel");
        var page = visitor.Page;
        await page.GotoAsync($"/runs/{run.Id}");

        await page.GetByRole(AriaRole.Button, new() { Name = "Cancel run" }).ClickAsync();
        Assert.Equal(WorkspaceRunStatus.Running, run.Run.Status);
        await page.GetByRole(AriaRole.Button, new() { Name = "Cancel it" }).ClickAsync();

        await page.Locator(".status", new() { HasText = "Canceled" }).WaitForAsync();
        await page.GetByRole(AriaRole.Heading, new() { Name = "Evidence" }).WaitForAsync();
        await page.GetByText("It wrote nothing.").WaitForAsync();
        await Assertions.Expect(page.Locator(".output-frame")).ToBeHiddenAsync();
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Run_EvidenceCannotBeRead_IsShownWithoutItUntilItCan()
    {
        var run = Api.AddRun("run-store", "true").Enter(WorkspaceRunStatus.Running).Write("done\n");
        run.IsStoreAway = true;
        run.End(WorkspaceRunStatus.Succeeded, current => current with { ExitCode = 0 });
        await using var visitor = await dashboard.NewVisitorAsync("run-store");
        await visitor.Page.GotoAsync($"/runs/{run.Id}");

        await visitor.Page.GetByText("The evidence could not be read").WaitForAsync();
        await visitor.Page.Locator(".output-lines .line", new() { HasText = "done" }).WaitForAsync();
        await visitor.Page.Locator(".status", new() { HasText = "Succeeded" }).WaitForAsync();
        run.IsStoreAway = false;

        await visitor.Page.GetByText($"\"workspaceRunId\": \"{run.Id}\"").WaitForAsync();
        await Assertions.Expect(visitor.Page.GetByText("The evidence could not be read")).ToHaveCountAsync(0);
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Run_CommandFailed_SaysSoOnceAndWhenTheSandboxGoes()
    {
        var sandbox = Api.AddSandbox("exit");
        var run = Api.AddRun("exit", "make test", created => created with
        {
            SandboxId = sandbox.Id,
            CleanupStatus = WorkspaceRunCleanup.Pending,
        }).Enter(WorkspaceRunStatus.Running);
        await using var visitor = await dashboard.NewVisitorAsync("exit");
        var page = visitor.Page;
        await page.GotoAsync($"/runs/{run.Id}");
        await page.Locator(".stages li").GetByText("Running the command").WaitForAsync();
        await page.GetByText("Removed when the run ends").WaitForAsync();

        run.Enter(WorkspaceRunStatus.Collecting);
        run.End(WorkspaceRunStatus.Failed, current => current with
        {
            FailureReason = WorkspaceRunFailure.CommandExit,
            FailureMessage = "The command exited with code 3.",
            ExitCode = 3,
        });

        await page.GetByText("The command ended with exit code 3").WaitForAsync();
        // The files were collected, the command has failed.
        await page.Locator(".stages li.tone-bad").GetByText("Running the command").WaitForAsync();
        Assert.Equal(0, await page.Locator(".stages li.tone-bad").GetByText("Collecting").CountAsync());
        Assert.Equal(0, await page.GetByText("exited with code 3").Filter(new() { HasNotText = "{" }).CountAsync());
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Run_FailedAndHostile_SaysWhyAndStaysText()
    {
        const string Attack = "<img src=x onerror=\"document.title='owned'\">\u202E";
        var run = Api.AddRun("run-hostile", Attack, created => created with
        {
            Metadata = new Dictionary<string, string> { ["<b>key</b>"] = Attack },
            SourceMetadata = new Dictionary<string, string> { ["<b>key</b>"] = Attack },
        });
        run.Enter(WorkspaceRunStatus.Starting).Enter(WorkspaceRunStatus.Extracting, Attack);
        run.End(WorkspaceRunStatus.Failed, current => current with
        {
            FailureReason = WorkspaceRunFailure.ArchiveInvalid,
            FailureClass = WorkspaceRunFailure.ClassUserInput,
            FailureMessage = Attack,
        });
        await using var visitor = await dashboard.NewVisitorAsync("run-hostile");
        var page = visitor.Page;

        await page.GotoAsync($"/runs/{run.Id}");

        await page.GetByText("The archive is no gzipped tar").WaitForAsync();
        await page.GetByText("\"failureReason\": \"archive_invalid\"").WaitForAsync();
        Assert.Equal(0, await page.Locator("main img, main b").CountAsync());
        Assert.DoesNotContain("\u202E", await page.Locator("body").InnerTextAsync(), StringComparison.Ordinal);
        Assert.NotEqual("owned", await page.TitleAsync());
        await visitor.ScreenshotAsync("run-failed-light");
        await page.GotoAsync("/runs/wsr_none");
        await page.GetByText("There is no such run").WaitForAsync();
        Assert.Empty(visitor.Complaints);
    }
}
