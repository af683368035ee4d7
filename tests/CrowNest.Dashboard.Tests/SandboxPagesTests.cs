using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

[Trait("Needs", "browser")]
public sealed class SandboxPagesTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    private const string ActiveName = "(document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()";

    private FakeApi Api => dashboard.Api;

    [Fact]
    public async Task List_Empty_SaysWhatToDo()
    {
        await using var visitor = await dashboard.NewVisitorAsync("list-empty");

        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "No sandbox is running" }).WaitForAsync();

        var sample = await visitor.Page.Locator(".sample").InnerTextAsync();
        Assert.Contains("curl -X POST http://127.0.0.1:8787/v1/sandboxes", sample, StringComparison.Ordinal);
        await visitor.ScreenshotAsync("list-empty-light");
    }

    [Fact]
    public async Task List_LiveAndPast_AreApartAndFollowChanges()
    {
        var running = Api.AddSandbox("list", sandbox => sandbox with { Status = SandboxStatus.Running });
        var expired = Api.AddSandbox("list", sandbox => sandbox with
        {
            Status = SandboxStatus.Destroyed,
            DestroyedReason = DestroyedReason.TtlExpired,
            DestroyedAt = DateTimeOffset.UtcNow.AddMinutes(-1),
        });
        await using var visitor = await dashboard.NewVisitorAsync("list");

        var row = visitor.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = running.Id });
        await row.WaitForAsync();
        Assert.Contains("Running", await row.InnerTextAsync(), StringComparison.Ordinal);
        Assert.Contains("Default project", await row.InnerTextAsync(), StringComparison.Ordinal);
        Assert.Matches("1[23] min", await row.InnerTextAsync());
        Assert.Equal(0, await visitor.Page.GetByText(expired.Id).CountAsync());

        var added = Api.AddSandbox("list", sandbox => sandbox with { Status = SandboxStatus.Creating });
        await visitor.Page.GetByText(added.Id).WaitForAsync();

        await visitor.Page.GetByRole(AriaRole.Link, new() { Name = "Past" }).ClickAsync();
        var past = visitor.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = expired.Id });
        await past.WaitForAsync();
        Assert.Contains("Expired", await past.InnerTextAsync(), StringComparison.Ordinal);
        Assert.Equal(0, await visitor.Page.GetByText(running.Id).CountAsync());
        Assert.Equal("Past sandboxes · CrowNest", await visitor.Page.TitleAsync());
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task List_MoreThanAPage_IsPaged()
    {
        for (var i = 0; i < 60; i++)
        {
            var age = i;
            Api.AddSandbox("paging", sandbox => sandbox with { CreatedAt = DateTimeOffset.UtcNow.AddMinutes(-age) });
        }

        await using var visitor = await dashboard.NewVisitorAsync("paging");
        var rows = visitor.Page.Locator("tbody tr");
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 50, "a full page");

        await visitor.Page.GetByRole(AriaRole.Link, new() { Name = "Older" }).ClickAsync();
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 10, "the rest");
        await visitor.Page.GetByRole(AriaRole.Link, new() { Name = "Newest" }).ClickAsync();

        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 50, "the first page again");
    }

    [Fact]
    public async Task List_FilteredByStatus_ShowsOnlyThose()
    {
        var idle = Api.AddSandbox("statuses");
        var running = Api.AddSandbox("statuses", sandbox => sandbox with { Status = SandboxStatus.Running });
        var failed = Api.AddSandbox("statuses", sandbox => sandbox with { Status = SandboxStatus.Failed });
        await using var visitor = await dashboard.NewVisitorAsync("statuses");
        var page = visitor.Page;
        await page.GetByText(idle.Id).WaitForAsync();

        await page.GetByLabel("Status").SelectOptionAsync("Running");
        await page.GetByText(idle.Id).WaitForAsync(new() { State = WaitForSelectorState.Detached });
        await page.GetByText(running.Id).WaitForAsync();
        await visitor.ScreenshotAsync("list-filtered-light");
        await page.GetByLabel("Status").SelectOptionAsync("Creating");
        await page.GetByText("None with this status").WaitForAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "Show all" }).ClickAsync();
        await page.GetByText(idle.Id).WaitForAsync();
        Assert.Equal("", await page.GetByLabel("Status").InputValueAsync());
        await page.GetByRole(AriaRole.Link, new() { Name = "Past" }).ClickAsync();
        await page.GetByLabel("Status").SelectOptionAsync("Failed");
        await page.GetByText(failed.Id).WaitForAsync();
        await page.GetByLabel("Status").SelectOptionAsync("Destroyed");

        await page.GetByText("None with this status").WaitForAsync();
        Assert.EndsWith("?show=past&status=destroyed", page.Url, StringComparison.Ordinal);
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Create_ByKeyboard_LeadsToTheNewSandbox()
    {
        await using var visitor = await dashboard.NewVisitorAsync("create");
        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "No sandbox is running" }).WaitForAsync();

        await visitor.Page.Keyboard.PressAsync("n");
        var template = visitor.Page.GetByLabel("Template");
        await HasFocusAsync(template);
        await template.SelectOptionAsync("python");
        await visitor.Page.GetByLabel("Network").SelectOptionAsync("internet");
        await visitor.ScreenshotAsync("create-light");
        await visitor.Page.SetViewportSizeAsync(390, 860);
        await visitor.ScreenshotAsync("create-light-390");
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Create sandbox" }).PressAsync("Enter");

        await visitor.Page.GetByText("Internet (public addresses only)").WaitForAsync();
        Assert.Matches("/sandboxes/sbx_", visitor.Page.Url);
        var created = Api.Sandboxes.Values.Single(owned => owned.Owner == "create").Sandbox;
        Assert.Equal(("python", 900_000L, "internet"), (created.TemplateSlug, created.TtlMs, created.Network));
    }

    [Fact]
    public async Task Create_Refused_SaysWhy()
    {
        await using var visitor = await dashboard.NewVisitorAsync("refused");
        Api.RefuseCreate = new ErrorBody(ErrorCodes.QuotaExceeded, "The node is full.");

        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "New sandbox" }).ClickAsync();
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Create sandbox" }).ClickAsync();

        var alert = visitor.Page.GetByRole(AriaRole.Alert).Filter(new() { HasText = "The node is full." });
        await alert.WaitForAsync();
        Assert.Contains("quota_exceeded", await alert.InnerTextAsync(), StringComparison.Ordinal);
        await visitor.ScreenshotAsync("create-refused-light");
    }

    [Fact]
    public async Task Sandbox_ExtendAndKill_AskAndAct()
    {
        var sandbox = Api.AddSandbox("kill");
        await using var visitor = await dashboard.NewVisitorAsync("kill");
        await visitor.Page.GotoAsync($"/sandboxes/{sandbox.Id}");

        await visitor.Page.GetByLabel("End in").SelectOptionAsync("240");
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Set lifetime" }).ClickAsync();
        await visitor.Page.GetByText("of 4 h").WaitForAsync();

        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Kill", Exact = true }).ClickAsync();
        var keep = visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Keep" });
        await HasFocusAsync(keep);
        await visitor.Page.Keyboard.PressAsync("Escape");
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Kill", Exact = true }).ClickAsync();
        await visitor.ScreenshotAsync("kill-light");
        Assert.Equal(SandboxStatus.Idle, Api.Sandboxes[sandbox.Id].Sandbox.Status);
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Kill sandbox" }).ClickAsync();

        await visitor.Page.Locator(".status", new() { HasText = "Killed" }).WaitForAsync();
        Assert.Equal(SandboxStatus.Destroyed, Api.Sandboxes[sandbox.Id].Sandbox.Status);
        await Assertions.Expect(visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Set lifetime" })).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task Sandbox_Facts_AreAllThere()
    {
        var sandbox = Api.AddSandbox("facts", created => created with
        {
            Status = SandboxStatus.Failed,
            FailureMessage = "The image crownest/python is missing.",
            Metadata = new Dictionary<string, string> { ["team"] = "search", ["ci.job"] = "build-4711" },
            Resources = new SandboxResources(0.5, 512),
            Runtime = "runsc",
        });
        await using var visitor = await dashboard.NewVisitorAsync("facts");

        await visitor.Page.GotoAsync($"/sandboxes/{sandbox.Id}");
        await visitor.Page.GetByText("The image crownest/python is missing.").WaitForAsync();

        var facts = await visitor.Page.Locator(".facts").InnerTextAsync();
        foreach (var fact in new[]
        {
            "python-node", "runsc", "0.5 CPU, 512 MiB", "None", "Default project", "prj_default", sandbox.TemplateVersionId, "search",
            "build-4711",
        })
            Assert.Contains(fact, facts, StringComparison.Ordinal);
        Assert.Equal(0, await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Kill", Exact = true }).CountAsync());
        await visitor.ScreenshotAsync("sandbox-failed-light");
    }

    [Fact]
    public async Task Page_ApiAway_SaysSoAndRecovers()
    {
        var sandbox = Api.AddSandbox("away");
        await using var visitor = await dashboard.NewVisitorAsync("away");
        await visitor.Page.GetByText(sandbox.Id).WaitForAsync();
        Api.IsAway = true;
        try
        {
            await visitor.Page.GetByText("The API does not answer.").WaitForAsync();
            Assert.True(await visitor.Page.GetByText(sandbox.Id).IsVisibleAsync());
            await visitor.ScreenshotAsync("api-away-light");
        }
        finally
        {
            Api.IsAway = false;
        }

        await visitor.Page.GetByText("The API does not answer.").WaitForAsync(new() { State = WaitForSelectorState.Detached });
    }

    [Fact]
    public async Task HostileTexts_EverywhereTheyAreShown_StayText()
    {
        const string Attack = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\0\u001b[31m\u202E";
        var sandbox = Api.AddSandbox("hostile", created => created with
        {
            Metadata = new Dictionary<string, string> { ["<b>key</b>"] = Attack },
            FailureMessage = Attack,
            TemplateVersion = Attack,
        });
        var command = Api.AddCommand("hostile", sandbox.Id, Attack).Write(Attack + "\n").Write(Attack + "\n", OutputStream.Stderr)
            .Write("\u001b]0;owned\u0007\u001b]8;;javascript:alert(1)\u0007link\u001b]8;;\u0007\n").Exit(0);
        await using var visitor = await dashboard.NewVisitorAsync("hostile");

        foreach (var path in new[] { "/", $"/sandboxes/{sandbox.Id}", $"/commands/{command.Id}" })
        {
            await visitor.Page.GotoAsync(path);
            await visitor.Page.GetByText("onerror=").First.WaitForAsync();
            Assert.Equal(0, await visitor.Page.Locator("img[src='x'], main script, main a[href^='javascript']").CountAsync());
            Assert.DoesNotContain("owned ·", await visitor.Page.TitleAsync(), StringComparison.Ordinal);
            Assert.NotEqual("owned", await visitor.Page.TitleAsync());
        }

        var output = visitor.Page.Locator(".output-lines");
        await output.GetByText("link").WaitForAsync();
        Assert.Contains("^@", await output.InnerTextAsync(), StringComparison.Ordinal);
        Assert.DoesNotContain("\u202E", await visitor.Page.Locator("body").InnerTextAsync(), StringComparison.Ordinal);
        Assert.Empty(visitor.Complaints);
        await visitor.ScreenshotAsync("hostile-light");
    }

    [Fact]
    public async Task Keyboard_Alone_ReachesTheCommandOfASandbox()
    {
        var sandbox = Api.AddSandbox("keys");
        var command = Api.AddCommand("keys", sandbox.Id, "echo hello").Write("hello\n").Exit(0);
        await using var visitor = await dashboard.NewVisitorAsync("keys");
        var page = visitor.Page;
        await page.GotoAsync("/");
        await page.GetByText(sandbox.Id).WaitForAsync();

        var order = new List<string>();
        await page.EvaluateAsync("document.activeElement.blur()");
        for (var i = 0; i < 14; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            var name = await page.EvaluateAsync<string>(ActiveName);
            order.Add(name);
            if (name == sandbox.Id)
                break;
        }

        Assert.Equal(order.OrderBy(Rank), order.Where(name => Rank(name) < 99));
        await page.Keyboard.PressAsync("Enter");
        await visitor.ReachesAsync($"/sandboxes/{sandbox.Id}");
        await page.GetByText("echo hello").WaitForAsync();
        // A page takes the focus when it has come; a quicker key would lose it again.
        await page.Locator("h1:focus").WaitForAsync();
        await page.Keyboard.PressAsync("c");
        await page.Locator("#run-command:focus").WaitForAsync();
        await page.Keyboard.TypeAsync("uname -a");
        await page.Keyboard.PressAsync("Enter");
        await visitor.ReachesAsync("/commands/cmd_");
        Assert.Contains(Api.Commands.Values, started => started.Owner == "keys" && started.Command.CommandLine == "uname -a");
        // The address changes before the page does, and the page before lists the command, too.
        await page.Locator(".command-line").GetByText("uname -a").WaitForAsync();
        await page.Keyboard.PressAsync("u");
        await visitor.ReachesAsync($"/sandboxes/{sandbox.Id}");
        await page.Locator("main h1").WaitForAsync();
        await page.Keyboard.PressAsync("?");
        await page.GetByRole(AriaRole.Heading, new() { Name = "Keyboard shortcuts" }).WaitForAsync();
        await visitor.ScreenshotAsync("shortcuts-light");
        await page.Keyboard.PressAsync("Escape");
        await page.Keyboard.PressAsync("g");
        await page.Keyboard.PressAsync("s");
        await page.GetByRole(AriaRole.Heading, new() { Name = "Sandboxes", Exact = true }).WaitForAsync();
        Assert.NotNull(command);

        // Skip link, brand, navigation, header buttons, then the page from top to bottom.
        int Rank(string name) => name switch
        {
            "Skip to content" => 0,
            "CrowNest, sandboxes" => 1,
            "Sandboxes" => 2,
            "Runs" or "Artifacts" => 2,
            _ when name.StartsWith("Theme", StringComparison.Ordinal) => 3,
            "Keyboard shortcuts" => 4,
            "Sign out" => 5,
            "New sandbox" => 6,
            "Live" => 7,
            "Past" => 8,
            _ when name.StartsWith("Any", StringComparison.Ordinal) => 9,
            _ when name == sandbox.Id => 10,
            _ => 99,
        };
    }

    private static Task HasFocusAsync(ILocator element) => Eventually.HoldsAsync(
        () => element.EvaluateAsync<bool>("e => e === document.activeElement"), $"{element} has the focus");
}
