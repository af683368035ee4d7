using System.Text;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

[Trait("Needs", "browser")]
public sealed class ArtifactsTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    private FakeApi Api => dashboard.Api;

    [Fact]
    public async Task Export_FromTheFilesRow_IsFoundDownloadedAndDeleted()
    {
        var sandbox = Api.AddSandbox("export");
        Api.FilesOf(sandbox.Id).Add("/workspace/dist").Add("/workspace/dist/app.js", "let x;");
        await using var visitor = await dashboard.NewVisitorAsync("export");
        var page = visitor.Page;
        await page.GotoAsync($"/sandboxes/{sandbox.Id}?show=files&path=/workspace/dist");
        await page.GetByRole(AriaRole.Button, new() { Name = "Actions for app.js" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Export as artifact" }).ClickAsync();
        var remotePath = page.GetByLabel("Remote path");
        Assert.Equal("dist/app.js", await remotePath.InputValueAsync());
        await visitor.ScreenshotAsync("files-export-light");
        await remotePath.FillAsync("builds/42/app.js");
        await remotePath.PressAsync("Enter");
        await page.GetByText("Kept as artifact builds/42/app.js.").WaitForAsync();
        await visitor.ScreenshotAsync("files-exported-light");

        await page.Keyboard.PressAsync("g");
        await page.Keyboard.PressAsync("a");
        var row = page.GetByRole(AriaRole.Row).Filter(new() { HasText = "builds/42/app.js" });
        await row.WaitForAsync();
        var text = await row.InnerTextAsync();
        Assert.Contains("6 B", text, StringComparison.Ordinal);
        Assert.Contains("6 d 23 h", text, StringComparison.Ordinal);
        Assert.Equal(sandbox.Id, await row.Locator(".short-id").GetAttributeAsync("title"));
        var artifact = Api.Artifacts.Values.Single(owned => owned.Owner == "export").Artifact;
        Assert.Equal("/workspace/dist/app.js", artifact.SourcePath);
        Assert.Equal(artifact.Sha256, await row.Locator(".copy").GetAttributeAsync("data-copy"));

        var download = await page.RunAndWaitForDownloadAsync(() =>
            row.GetByRole(AriaRole.Button, new() { Name = "Download app.js" }).ClickAsync());
        Assert.Equal("let x;", await File.ReadAllTextAsync(await download.PathAsync()));

        await row.GetByRole(AriaRole.Button, new() { Name = "Delete", Exact = true }).ClickAsync();
        Assert.Single(Api.Artifacts.Values, owned => owned.Owner == "export");
        await visitor.ScreenshotAsync("artifacts-delete-light");
        await row.GetByRole(AriaRole.Button, new() { Name = "Delete artifact" }).ClickAsync();
        await page.GetByRole(AriaRole.Heading, new() { Name = "No artifact is kept" }).WaitForAsync();
        Assert.DoesNotContain(Api.Artifacts.Values, owned => owned.Owner == "export");
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task List_ManyAndFiltered_ShowsMoreAndNarrows()
    {
        var mine = Api.AddSandbox("many", created => created with
        {
            Status = SandboxStatus.Destroyed,
            DestroyedReason = DestroyedReason.UserKilled,
            DestroyedAt = DateTimeOffset.UtcNow,
        });
        var other = Api.AddSandbox("many");
        for (var i = 0; i < 130; i++)
        {
            var age = i;
            Api.AddArtifact("many", i < 70 ? mine.Id : other.Id, $"builds/{i}/out.bin", [1, 2, 3], added => added with
            {
                CreatedAt = DateTimeOffset.UtcNow.AddMinutes(-age),
            });
        }

        Api.AddArtifact("somebody-else", "sbx_other", "builds/secret", [1]);
        await using var visitor = await dashboard.NewVisitorAsync("many");
        var page = visitor.Page;
        await page.GotoAsync("/artifacts");
        var rows = page.Locator("tbody tr");
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 50, "the first part");
        await page.GetByRole(AriaRole.Button, new() { Name = "Show more artifacts" }).ClickAsync();
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 100, "twice as many");
        await page.GetByRole(AriaRole.Button, new() { Name = "Show more artifacts" }).ClickAsync();
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 130, "all");
        Assert.Equal(0, await page.GetByText("secret").CountAsync());

        await page.Keyboard.PressAsync("/");
        await page.Keyboard.TypeAsync(mine.Id);
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.TypeAsync("builds/6");
        await page.Keyboard.PressAsync("Enter");
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 11, "6, and 60 to 69");
        await visitor.ScreenshotAsync("artifacts-filtered-light");
        await page.GetByLabel("Remote path").FillAsync("nowhere/");
        await page.GetByRole(AriaRole.Button, new() { Name = "Filter" }).ClickAsync();
        await page.GetByText("No artifact matches").WaitForAsync();
        await page.GetByLabel("Sandbox id").FillAsync("nonsense");
        await page.GetByRole(AriaRole.Button, new() { Name = "Filter" }).ClickAsync();
        await page.GetByText("That is no sandbox id").WaitForAsync();
        await page.GetByLabel("Sandbox id").FillAsync(Ids.New(Ids.Sandbox));
        await page.GetByRole(AriaRole.Button, new() { Name = "Filter" }).ClickAsync();
        await page.GetByText("There is no such sandbox").WaitForAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "Show all" }).ClickAsync();
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 50, "the first part again");

        await page.GotoAsync($"/sandboxes/{mine.Id}?show=artifacts");
        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 50, "those of an ended sandbox");
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task List_RemotePathThatIsTheName_IsShownOnce()
    {
        var sandbox = Api.AddSandbox("plain-name");
        Api.AddArtifact("plain-name", sandbox.Id, "report.txt", [1]);
        Api.AddArtifact("plain-name", sandbox.Id, "builds/report.txt", [1]);
        await using var visitor = await dashboard.NewVisitorAsync("plain-name");
        await visitor.Page.GotoAsync("/artifacts");

        await visitor.Page.GetByText("builds/report.txt", new() { Exact = true }).WaitForAsync();
        Assert.Equal(2, await visitor.Page.GetByText("report.txt", new() { Exact = true }).CountAsync());
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Delete_Refused_SaysWhyAndKeepsTheRow()
    {
        var sandbox = Api.AddSandbox("kept");
        Api.AddArtifact("kept", sandbox.Id, "<script>document.title='owned'</script>\u202E", Encoding.UTF8.GetBytes("x"));
        await using var visitor = await dashboard.NewVisitorAsync("kept");
        await visitor.Page.GotoAsync("/artifacts");
        Api.RefuseChange = new ErrorBody(ErrorCodes.InternalError, "The database is away.");

        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Delete", Exact = true }).ClickAsync();
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Delete artifact" }).ClickAsync();

        await visitor.Page.GetByText("It was not deleted").WaitForAsync();
        await visitor.Page.GetByText("The database is away.").WaitForAsync();
        Assert.Equal(1, await visitor.Page.Locator("tbody tr").CountAsync());
        Assert.DoesNotContain("\u202E", await visitor.Page.Locator("body").InnerTextAsync(), StringComparison.Ordinal);
        Assert.NotEqual("owned", await visitor.Page.TitleAsync());
        Assert.Empty(visitor.Complaints);
    }
}
