using System.Text;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

[Trait("Needs", "browser")]
public sealed class FilesTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    /// <summary>A PNG of one pixel.</summary>
    internal static readonly byte[] Pixel = Convert.FromBase64String(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==");

    private FakeApi Api => dashboard.Api;

    [Fact]
    public async Task Browse_FoldersByKeyboard_LeadsInAndOut()
    {
        var (sandbox, files) = dashboard.StartFiles("browse");
        files.Add("/workspace/zoo.txt", "z").Add("/workspace/src").Add("/workspace/src/deep").Add("/workspace/src/deep/a.cs", "class A;");
        await using var visitor = await dashboard.OpenFilesAsync("browse", sandbox);
        var page = visitor.Page;
        await FilesPage.Row(page, "zoo.txt").WaitForAsync();
        Assert.Equal(["src/", "zoo.txt"], await page.Locator("tbody .row-link").AllInnerTextsAsync());
        await visitor.ScreenshotAsync("files-light");

        await page.GetByRole(AriaRole.Link, new() { Name = "src/" }).PressAsync("Enter");
        await page.GetByRole(AriaRole.Link, new() { Name = "deep/" }).WaitForAsync();
        await FilesPage.HasFocusAsync(page.Locator(".crumbs [aria-current]"));
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Enter");
        await page.GetByRole(AriaRole.Link, new() { Name = "a.cs" }).WaitForAsync();
        Assert.Equal(["workspace", "src", "deep"], await page.Locator(".crumbs li").AllInnerTextsAsync());

        files.Add("/workspace/src/deep/new.cs", "");
        await FilesPage.Row(page, "new.cs").WaitForAsync();
        await page.Locator(".crumbs").GetByRole(AriaRole.Link, new() { Name = "workspace" }).ClickAsync();
        await FilesPage.Row(page, "zoo.txt").WaitForAsync();
        await page.GoBackAsync();
        await FilesPage.Row(page, "new.cs").WaitForAsync();
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Folder_NewRenamedAndDeleted_ByKeyboard()
    {
        var (sandbox, files) = dashboard.StartFiles("folders");
        await using var visitor = await dashboard.OpenFilesAsync("folders", sandbox);
        var page = visitor.Page;

        await page.GetByRole(AriaRole.Button, new() { Name = "New folder" }).PressAsync("Enter");
        await FilesPage.HasFocusAsync(page.GetByLabel("Name of the new folder"));
        await page.Keyboard.TypeAsync("results");
        await page.Keyboard.PressAsync("Enter");
        await FilesPage.Row(page, "results").WaitForAsync();
        Assert.True(files.IsFolder("/workspace/results"));

        await FilesPage.Actions(page, "results").PressAsync("Enter");
        await page.GetByRole(AriaRole.Button, new() { Name = "Rename" }).PressAsync("Enter");
        var name = page.GetByLabel("New name");
        await FilesPage.HasFocusAsync(name);
        await visitor.ScreenshotAsync("files-rename-light");
        await name.FillAsync("output");
        await name.PressAsync("Enter");
        await FilesPage.Row(page, "output").WaitForAsync();
        await FilesPage.HasFocusAsync(page.Locator(".crumbs [aria-current]"));
        Assert.False(files.Has("/workspace/results"));

        await FilesPage.Actions(page, "output").ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete", Exact = true }).ClickAsync();
        Assert.True(files.Has("/workspace/output"));
        await visitor.ScreenshotAsync("files-delete-light");
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete folder" }).ClickAsync();
        await page.GetByText("This folder is empty").WaitForAsync();
        Assert.False(files.Has("/workspace/output"));
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Actions_Refused_SayWhyInWords()
    {
        var (sandbox, files) = dashboard.StartFiles("refusals");
        files.Add("/workspace/full").Add("/workspace/full/file", "x").Add("/workspace/a.txt", "a").Add("/workspace/b.txt", "b");
        await using var visitor = await dashboard.OpenFilesAsync("refusals", sandbox);
        var page = visitor.Page;

        await FilesPage.Actions(page, "full").ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete", Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete folder" }).ClickAsync();
        await page.GetByText("The folder is not empty").WaitForAsync();
        await page.GetByText("rm -r").WaitForAsync();
        await page.GetByText("directory_not_empty", new() { Exact = true }).WaitForAsync();

        await FilesPage.Actions(page, "a.txt").ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Rename" }).ClickAsync();
        await page.GetByLabel("New name").FillAsync("b.txt");
        await page.GetByLabel("New name").PressAsync("Enter");
        await page.GetByText("Something with that name is already there").WaitForAsync();
        Assert.Equal("b", Encoding.UTF8.GetString(files.Content("/workspace/b.txt")!));
        await visitor.ScreenshotAsync("files-refused-light");

        Api.RefuseChange = new ErrorBody(ErrorCodes.QuotaExceeded, "The workspace is full.");
        await page.GetByRole(AriaRole.Button, new() { Name = "New folder" }).ClickAsync();
        await page.GetByLabel("Name of the new folder").FillAsync("more");
        await page.GetByLabel("Name of the new folder").PressAsync("Enter");
        await page.GetByText("There is no room for it").WaitForAsync();

        await page.GotoAsync($"/sandboxes/{sandbox.Id}?show=files&path=/workspace/gone");
        await page.GetByText("It is not there any more").WaitForAsync();
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Download_OfAFile_ComesFromASignedLinkAndLeavesThePage()
    {
        var (sandbox, files) = dashboard.StartFiles("download");
        files.Add("/workspace/data.csv", "a,b\n1,2\n").Add("/workspace/logs").Add("/workspace/logs/x", "x");
        await using var visitor = await dashboard.OpenFilesAsync("download", sandbox);
        var page = visitor.Page;

        await FilesPage.Actions(page, "data.csv").ClickAsync();
        var download = await page.RunAndWaitForDownloadAsync(() =>
            page.GetByRole(AriaRole.Button, new() { Name = "Download" }).ClickAsync());

        Assert.Equal("data.csv", download.SuggestedFilename);
        Assert.StartsWith(Api.Url + "/signed/", download.Url, StringComparison.Ordinal);
        Assert.Equal("a,b\n1,2\n", await File.ReadAllTextAsync(await download.PathAsync()));
        files.Add("/workspace/still-live", "");
        await FilesPage.Row(page, "still-live").WaitForAsync();
        await FilesPage.Actions(page, "logs").ClickAsync();
        var archive = await page.RunAndWaitForDownloadAsync(() =>
            page.GetByRole(AriaRole.Link, new() { Name = "Download .tar.gz" }).ClickAsync());
        Assert.Equal("logs.tar.gz", archive.SuggestedFilename);
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task View_TextPictureAndBinary_EachAsItIs()
    {
        var (sandbox, files) = dashboard.StartFiles("view");
        files.Add("/workspace/app.py", "print('<b>hi</b>')\r\n\tdone\u202E")
            .Add("/workspace/long.log", string.Concat(Enumerable.Repeat("0123456789abcde\n", 20_000)))
            .Add("/workspace/dot.png", Pixel)
            .Add("/workspace/evil.png", "<svg xmlns='http://www.w3.org/2000/svg'><script>document.title='owned'</script></svg>")
            .Add("/workspace/program", [0x7F, (byte)'E', (byte)'L', (byte)'F', 0, 0, 1])
            .Add("/workspace/nothing", "");
        await using var visitor = await dashboard.OpenFilesAsync("view", sandbox);
        var page = visitor.Page;
        await page.GetByRole(AriaRole.Link, new() { Name = "app.py" }).ClickAsync();
        Assert.Equal("print('<b>hi</b>')\n\tdone\uFFFD", await page.Locator(".file-text").TextContentAsync());
        await visitor.ScreenshotAsync("file-text-light");

        await ViewAsync("long.log");
        await page.GetByText("Only the first 256.0 KiB are shown").WaitForAsync();
        Assert.Equal(262_144, (await page.Locator(".file-text").TextContentAsync())!.Length);
        await ViewAsync("dot.png");
        Assert.Equal(1, await page.Locator(".picture img").EvaluateAsync<int>("image => image.decode().then(() => image.naturalWidth)"));
        await visitor.ScreenshotAsync("file-picture-light");
        await ViewAsync("evil.png");
        await page.GetByText("<svg").WaitForAsync();
        Assert.Equal(0, await page.Locator(".picture").CountAsync());
        var refused = await page.APIRequest.GetAsync($"/sandboxes/{sandbox.Id}/image?path=%2Fworkspace%2Fevil.png");
        Assert.Equal(415, refused.Status);
        await ViewAsync("program");
        await page.GetByText("This is not text").WaitForAsync();
        await visitor.ScreenshotAsync("file-binary-light");
        await ViewAsync("nothing");
        await page.GetByText("The file is empty.").WaitForAsync();
        files.Add("/workspace/nothing", "more");
        await page.GetByRole(AriaRole.Button, new() { Name = "Read again" }).ClickAsync();
        await page.Locator(".file-text", new() { HasText = "more" }).WaitForAsync();
        Assert.Empty(visitor.Complaints);

        Task ViewAsync(string name) => page.GotoAsync($"/sandboxes/{sandbox.Id}?show=files&view=/workspace/{name}");
    }

    [Fact]
    public async Task HostileNames_EverywhereTheyAreShown_StayTextAndWork()
    {
        string[] names =
        [
            "<img src=x onerror=\"document.title='owned'\">", "two\nlines.txt", "gnp.\u202Eexe", "..%2F..%2Fetc?a=b&c#d", " spaces ",
            new('n', 255), "'\"`${alert(1)}", "\u001b[31mred",
        ];
        var (sandbox, files) = dashboard.StartFiles("hostile-names");
        foreach (var name in names)
            files.Add("/workspace/" + name, "content of " + name.Length);
        files.Add("/workspace/fold\ner & <b>").Add("/workspace/fold\ner & <b>/inside", "x");
        await using var visitor = await dashboard.OpenFilesAsync("hostile-names", sandbox);
        var page = visitor.Page;
        await FilesPage.Row(page, "two^Jlines.txt").WaitForAsync();
        Assert.Equal(names.Length + 1, await page.Locator("tbody tr").CountAsync());
        Assert.Equal(0, await page.Locator("main img, main b").CountAsync());
        Assert.DoesNotContain("\u202E", await page.Locator("body").InnerTextAsync(), StringComparison.Ordinal);
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= window.innerWidth"));
        Assert.Equal(new string('n', 255), await page.Locator(".row-link", new() { HasText = "nnnn" }).GetAttributeAsync("title"));
        await visitor.ScreenshotAsync("files-hostile-light");

        foreach (var name in names)
        {
            var link = page.Locator(".row-link").Filter(new() { HasText = Components.VisibleText.Name(name) });
            await link.ClickAsync();
            await page.Locator(".file-text", new() { HasText = "content of " + name.Length }).WaitForAsync();
            await page.GoBackAsync();
        }

        await FilesPage.Actions(page, "two^Jlines.txt").ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Rename" }).ClickAsync();
        await page.GetByLabel("New name").FillAsync("one-line.txt");
        await page.GetByLabel("New name").PressAsync("Enter");
        await FilesPage.Row(page, "one-line.txt").WaitForAsync();
        Assert.False(files.Has("/workspace/two\nlines.txt"));
        await page.GetByRole(AriaRole.Link, new() { Name = "fold^Jer & <b>/" }).ClickAsync();
        await FilesPage.Row(page, "inside").WaitForAsync();
        await page.Locator("[data-upload-input]").SetInputFilesAsync(
            [new FilePayload { Name = "<i>&#x41;%2e.txt", MimeType = "text/html", Buffer = [1] }]);
        await page.Locator(".upload.done").WaitForAsync();
        Assert.Contains(files.Paths, path => path.StartsWith("/workspace/fold\ner & <b>/<i>", StringComparison.Ordinal));
        Assert.NotEqual("owned", await page.TitleAsync());
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Folder_OfThousands_IsShownInParts()
    {
        var (sandbox, files) = dashboard.StartFiles("thousands");
        for (var i = 0; i < 1200; i++)
            files.Add($"/workspace/f{i:d4}", "");
        files.IsTruncated = true;
        await using var visitor = await dashboard.OpenFilesAsync("thousands", sandbox);
        var rows = visitor.Page.Locator("tbody tr");

        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 500, "the first part");
        await visitor.Page.GetByText("the folder has more than the API lists").WaitForAsync();
        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Show more entries" }).ClickAsync();

        await Eventually.HoldsAsync(async () => await rows.CountAsync() == 1000, "the second part");
    }

    [Fact]
    public async Task Sandbox_EndsWhileItsFilesAreShown_SaysThatTheyAreGone()
    {
        var (sandbox, files) = dashboard.StartFiles("gone");
        files.Add("/workspace/a", "a");
        await using var visitor = await dashboard.OpenFilesAsync("gone", sandbox);
        await FilesPage.Row(visitor.Page, "a").WaitForAsync();

        Api.Sandboxes[sandbox.Id] = new OwnedSandbox("gone", sandbox with
        {
            Status = SandboxStatus.Destroyed,
            DestroyedReason = DestroyedReason.TtlExpired,
            DestroyedAt = DateTimeOffset.UtcNow,
        });

        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Its files are gone" }).WaitForAsync();
        await visitor.ScreenshotAsync("files-gone-light");
        await visitor.Page.GetByRole(AriaRole.Link, new() { Name = "Artifacts of this sandbox" }).ClickAsync();
        await visitor.Page.GetByText("No artifact of this sandbox is kept").WaitForAsync();
    }
}
