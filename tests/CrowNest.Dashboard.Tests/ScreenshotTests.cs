using CrowNest.Contracts;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

/// <summary>
/// Every page in both themes and at phone width, as pictures under artifacts/screenshots; fails when a page is wider than its window.
/// </summary>
[Trait("Needs", "browser")]
public sealed class ScreenshotTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    [Theory]
    [InlineData(ColorScheme.Light, 1280)]
    [InlineData(ColorScheme.Dark, 1280)]
    [InlineData(ColorScheme.Light, 390)]
    [InlineData(ColorScheme.Dark, 390)]
    public async Task EveryPage_InEveryLook_FitsItsWindow(ColorScheme scheme, int width)
    {
        var user = $"painter {scheme} {width}";
        var (sandbox, command, run) = Furnish(user);
        await using var visitor = await dashboard.NewVisitorAsync(user, scheme, width);
        var pages = new (string Name, string Path, string Ready)[]
        {
            ("list", "/", "team=search"),
            ("past", "/?show=past", "Expired"),
            ("sandbox", $"/sandboxes/{sandbox.Id}", "pip install"),
            ("files", $"/sandboxes/{sandbox.Id}?show=files", "package.json"),
            ("files-nested", $"/sandboxes/{sandbox.Id}?show=files&path=%2Fworkspace%2Fsrc%2Findexer%2Fa-folder-with-a-name", "empty"),
            ("file-text", $"/sandboxes/{sandbox.Id}?show=files&view=%2Fworkspace%2Fpackage.json", "devDependencies"),
            ("file-cut", $"/sandboxes/{sandbox.Id}?show=files&view=%2Fworkspace%2Fbuild.log", "Only the first"),
            ("file-binary", $"/sandboxes/{sandbox.Id}?show=files&view=%2Fworkspace%2Ftool", "This is not text"),
            ("file-gone", $"/sandboxes/{sandbox.Id}?show=files&view=%2Fworkspace%2Fgone", "not there any more"),
            ("sandbox-artifacts", $"/sandboxes/{sandbox.Id}?show=artifacts", "coverage.xml"),
            ("artifacts", "/artifacts", "coverage.xml"),
            ("command", $"/commands/{command.Id}", "2 failed"),
            ("runs", "/runs", "npm ci"),
            ("run", $"/runs/{run.Id}", "Complete"),
            ("missing", "/sandboxes/sbx_none", "There is no such sandbox"),
        };
        foreach (var (name, path, ready) in pages)
        {
            await visitor.Page.GotoAsync(path);
            await visitor.Page.GetByText(ready).First.WaitForAsync();
            await visitor.ScreenshotAsync($"{name}-{scheme.ToString().ToLowerInvariant()}-{width}");
            var fits = await visitor.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= window.innerWidth");
            Assert.True(fits, $"{name} is wider than {width}");
        }

        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task ThemeSwitch_Pressed_OverridesTheSystemAndIsKept()
    {
        await using var visitor = await dashboard.NewVisitorAsync("theme", ColorScheme.Light);
        var background = () => visitor.Page.EvaluateAsync<string>("getComputedStyle(document.body).backgroundColor");
        var light = await background();

        await visitor.Page.Keyboard.PressAsync("t");
        Assert.Equal(light, await background());
        await visitor.Page.Keyboard.PressAsync("t");
        var dark = await background();
        Assert.NotEqual(light, dark);
        await visitor.Page.ReloadAsync();

        Assert.Equal(dark, await background());
        Assert.Equal("Theme: dark", await visitor.Page.Locator("[data-theme-switch]").GetAttributeAsync("aria-label"));
    }

    private (Sandbox Sandbox, FakeCommand Command, FakeRun Run) Furnish(string user)
    {
        var api = dashboard.Api;
        var now = DateTimeOffset.UtcNow;
        var sandbox = api.AddSandbox(user, created => created with
        {
            Status = SandboxStatus.Running,
            Network = NetworkPolicy.Internet,
            Metadata = new Dictionary<string, string>
            {
                ["team"] = "search",
                ["ci.job"] = "build-4711",
                ["branch"] = "feature/faster-index",
                ["x"] = "y",
            },
        });
        Add(SandboxStatus.Idle, TimeSpan.FromMinutes(14), created => created with
        {
            TemplateSlug = "python",
            ExpiresAt = now.AddSeconds(48),
        });
        Add(SandboxStatus.Creating, TimeSpan.Zero, created => created with { TemplateSlug = "node" });
        Add(SandboxStatus.Expiring, TimeSpan.FromHours(3), created => created with { TemplateSlug = "base", ExpiresAt = now });
        Add(SandboxStatus.Failed, TimeSpan.FromHours(4), created => created with { FailureMessage = "No image." });
        Add(SandboxStatus.Destroyed, TimeSpan.FromHours(5), created => created with
        {
            DestroyedReason = DestroyedReason.TtlExpired,
            DestroyedAt = now.AddHours(-4),
        });
        Add(SandboxStatus.Destroyed, TimeSpan.FromDays(2), created => created with
        {
            DestroyedReason = DestroyedReason.UserKilled,
            DestroyedAt = now.AddDays(-2),
        });
        var files = api.FilesOf(sandbox.Id);
        files.Add("/workspace/src").Add("/workspace/src/indexer").Add("/workspace/src/indexer/a-folder-with-a-name")
            .Add("/workspace/node_modules")
            .Add("/workspace/package.json", """
                {
                  "name": "suite",
                  "version": "2.4.0",
                  "devDependencies": { "mocha": "^11" }
                }
                """)
            .Add("/workspace/build.log", string.Concat(Enumerable.Repeat("compiling " + new string('.', 150) + "\n", 4000)))
            .Add("/workspace/tool", [0x7F, (byte)'E', 0, 1]).Add("/workspace/dot.png", FilesTests.Pixel)
            .Add("/workspace/two\nlines and an-extraordinarily-long-name-that-nobody-would-choose-" + new string('x', 120), "");
        api.AddArtifact(user, sandbox.Id, "builds/4711/reports/coverage.xml", new byte[48_213]);
        api.AddArtifact(user, sandbox.Id, "builds/4711/dist/" + new string('y', 180) + ".js", new byte[3_400_000]);
        api.AddArtifact(user, sandbox.Id, "screenshots/front.png", FilesTests.Pixel, added => added with
        {
            RetentionExpiresAt = now.AddSeconds(50),
            CreatedAt = now.AddDays(-7),
        });
        api.AddCommand(user, sandbox.Id, "pip install --quiet numpy pandas && python -c 'import numpy; print(numpy.__version__)'").Exit(0);
        api.AddCommand(user, sandbox.Id, "sleep 600", started => started with { CreatedAt = now.AddSeconds(1) });
        api.AddCommand(user, sandbox.Id, "curl https://example.org").End(ended => ended with { Status = CommandStatus.TimedOut });
        api.AddCommand(user, sandbox.Id, "./deploy.sh").End(ended => ended with
        {
            Status = CommandStatus.Canceled,
            TerminationSignal = "SIGTERM",
        });
        var command = api.AddCommand(user, sandbox.Id, "npm test -- --reporter spec")
            .Write("\u001b[1m> suite@2.4.0 test\u001b[0m\n\n  \u001b[32m✓\u001b[0m parses an empty document \u001b[2m(3 ms)\u001b[0m\n")
            .Write("  \u001b[32m✓\u001b[0m keeps comments \u001b[2m(1 ms)\u001b[0m\n  \u001b[31m✗ rejects a lone surrogate\u001b[0m\n")
            .Write("(node:17) Warning: experimental loader\n    at load (node:internal:42)\n", OutputStream.Stderr)
            .Write("  \u001b[31m✗ survives a very long line: " + new string('=', 220) + "\u001b[0m\n")
            .Write("\n  \u001b[38;5;214m12 passed\u001b[0m, \u001b[1;31m2 failed\u001b[0m \u001b[7m exit \u001b[0m\n")
            .Exit(1);
        return (sandbox, command, FurnishRuns(user, sandbox, now));

        void Add(string status, TimeSpan age, Func<Sandbox, Sandbox> change) =>
            api.AddSandbox(user, created => change(created with { Status = status, CreatedAt = now - age }));
    }

    private FakeRun FurnishRuns(string user, Sandbox sandbox, DateTimeOffset now)
    {
        var api = dashboard.Api;
        api.AddRun(user, "pytest -q --maxfail=1").Enter(WorkspaceRunStatus.Running);
        api.AddRun(user, "cargo test", Aged(3)).Enter(WorkspaceRunStatus.AwaitingArchive);
        api.AddRun(user, "make release", Aged(9)).End(WorkspaceRunStatus.Failed, run => run with
        {
            FailureReason = WorkspaceRunFailure.Timeout,
        });
        api.AddRun(user, "go vet ./...", Aged(14)).End(WorkspaceRunStatus.Canceled, run => run);
        api.AddRun(user, "true", Aged(60)).End(WorkspaceRunStatus.Succeeded, run => run with { ExitCode = 0 });
        var start = now.AddMinutes(-2);
        var artifact = api.AddArtifact(user, sandbox.Id, "reports/junit.xml", new byte[48_213]);
        return api.AddRun(user, "npm ci && npm test -- --reporter spec", run => run with
        {
            CreatedAt = start,
            StartedAt = start.AddSeconds(2),
            SandboxId = sandbox.Id,
            Archive = new WorkspaceRunArchive(new string('a', 64), 3_400_000, start),
            Metadata = new Dictionary<string, string> { ["commit"] = "5f3c2a9", ["ci.job"] = "build-4711" },
        })
            .Enter(WorkspaceRunStatus.AwaitingArchive, at: start).Enter(WorkspaceRunStatus.ArchiveUploaded, at: start.AddSeconds(1.2))
            .Enter(WorkspaceRunStatus.Starting, at: start.AddSeconds(2)).Enter(WorkspaceRunStatus.Extracting, at: start.AddSeconds(2.1))
            .Enter(WorkspaceRunStatus.Running, at: start.AddSeconds(3.4))
            .Write("\u001b[1m> suite@2.4.0 test\u001b[0m\n\n  \u001b[32m✓\u001b[0m parses an empty document\n")
            .Write("  \u001b[31m✗ rejects a lone surrogate\u001b[0m\n").Write("npm warn deprecated\n", WorkspaceRunEventType.Stderr)
            .Enter(WorkspaceRunStatus.Collecting, at: start.AddSeconds(70))
            .Tell(WorkspaceRunEventType.ArtifactCollected, told => told with { ArtifactId = artifact.Id, Path = "/workspace/junit.xml" })
            .Tell(WorkspaceRunEventType.ArtifactError, told => told with
            {
                Error = new CollectError(ErrorCodes.FileNotFound, "There is no such file.", "/workspace/coverage.xml"),
            })
            .End(
                WorkspaceRunStatus.Failed,
                run => run with { FailureReason = WorkspaceRunFailure.CommandExit, ExitCode = 1, ArtifactIds = [artifact.Id] },
                start.AddSeconds(71));

        Func<WorkspaceRun, WorkspaceRun> Aged(int minutes) => run => run with { CreatedAt = now.AddMinutes(-minutes) };
    }
}
