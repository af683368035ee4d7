using System.Text;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

[Trait("Needs", "browser")]
public sealed class UploadTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    private FakeApi Api => dashboard.Api;

    [Fact]
    public async Task Upload_SeveralFiles_AreSeenAndWhole()
    {
        var (sandbox, files) = dashboard.StartFiles("upload");
        await using var visitor = await dashboard.OpenFilesAsync("upload", sandbox);
        await FilesPage.TakesUploadsAsync(visitor.Page);
        var page = visitor.Page;
        await page.GetByText("This folder is empty").WaitForAsync();
        await visitor.ScreenshotAsync("files-empty-light");
        var big = new byte[40 * 1024 * 1024];
        Random.Shared.NextBytes(big);
        const string Odd = "50% & ünïcode#?.txt";

        using var folder = new TemporaryFolder();
        await page.Locator("[data-upload-input]").SetInputFilesAsync(
            [folder.Write("big.bin", big), folder.Write(Odd, "content"u8.ToArray()), folder.Write("empty", [])]);

        await FilesPage.Row(page, "big.bin").WaitForAsync(new() { Timeout = 60_000 });
        await FilesPage.Row(page, Odd).WaitForAsync();
        await FilesPage.Row(page, "empty").WaitForAsync();
        Assert.Contains("40.0 MiB", await FilesPage.Row(page, "big.bin").InnerTextAsync(), StringComparison.Ordinal);
        await Assertions.Expect(page.Locator(".upload.done")).ToHaveCountAsync(3);
        await visitor.ScreenshotAsync("files-uploaded-light");
        Assert.Equal(big, files.Content("/workspace/big.bin"));
        Assert.Equal("content", Encoding.UTF8.GetString(files.Content("/workspace/" + Odd)!));
        Assert.Empty(files.Content("/workspace/empty")!);
        await page.Locator(".upload").First.GetByRole(AriaRole.Button, new() { Name = "Dismiss" }).ClickAsync();
        await Assertions.Expect(page.Locator(".upload")).ToHaveCountAsync(2);
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Upload_LargerThanMemoryWouldBear_PassesThroughTheDashboard()
    {
        const long Size = 300L * 1024 * 1024;
        var (sandbox, files) = dashboard.StartFiles("large");
        await using var visitor = await dashboard.OpenFilesAsync("large", sandbox);
        await FilesPage.TakesUploadsAsync(visitor.Page);
        using var folder = new TemporaryFolder();
        var path = folder.Write("large.bin", []);
        using (var file = File.OpenWrite(path))
            file.SetLength(Size);
        var before = Math.Max(dashboard.Memory, dashboard.PeakMemory);
        Api.Discarded = 0;
        try
        {
            await visitor.Page.Locator("[data-upload-input]").SetInputFilesAsync(path);
            await visitor.Page.Locator(".upload.done").WaitForAsync(new() { Timeout = 120_000 });

            Assert.Equal(Size, Api.Discarded);
        }
        finally
        {
            Api.Discarded = null;
        }

        Assert.True(files.Has("/workspace/large.bin"));
        Assert.InRange(dashboard.PeakMemory - before, 0, 100 * 1024 * 1024);
    }

    [Fact]
    public async Task Upload_NameIsTaken_IsReplacedOnlyWhenAsked()
    {
        var (sandbox, files) = dashboard.StartFiles("replace");
        files.Add("/workspace/config.json", "old");
        await using var visitor = await dashboard.OpenFilesAsync("replace", sandbox);
        await FilesPage.TakesUploadsAsync(visitor.Page);
        using var folder = new TemporaryFolder();
        // More than is read before the refusal: the browser must still hear why.
        var content = new byte[24 * 1024 * 1024];

        await visitor.Page.Locator("[data-upload-input]").SetInputFilesAsync([folder.Write("config.json", content)]);

        var upload = visitor.Page.Locator(".upload.failed");
        await upload.GetByText("already there").WaitForAsync();
        Assert.Contains("file_already_exists", await upload.InnerTextAsync(), StringComparison.Ordinal);
        Assert.Equal("old", Encoding.UTF8.GetString(files.Content("/workspace/config.json")!));
        await visitor.ScreenshotAsync("files-replace-light");
        await upload.GetByRole(AriaRole.Button, new() { Name = "Replace it" }).ClickAsync();
        await visitor.Page.Locator(".upload.done").WaitForAsync();
        Assert.Equal(content.Length, files.Content("/workspace/config.json")!.Length);
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Upload_Canceled_LeavesNothing()
    {
        var (sandbox, files) = dashboard.StartFiles("give-up");
        await using var visitor = await dashboard.OpenFilesAsync("give-up", sandbox);
        await FilesPage.TakesUploadsAsync(visitor.Page);
        using var folder = new TemporaryFolder();
        var hold = new TaskCompletionSource();
        Api.HoldUploads = hold.Task;
        try
        {
            await visitor.Page.Locator("[data-upload-input]").SetInputFilesAsync([folder.Write("a.bin", new byte[30 * 1024 * 1024])]);
            await visitor.Page.Locator(".upload-state", new() { HasText = " of 30.0 MiB" }).WaitForAsync();
            await visitor.ScreenshotAsync("files-uploading-light");
            await visitor.Page.Locator(".upload").GetByRole(AriaRole.Button, new() { Name = "Cancel" }).ClickAsync();
            await visitor.Page.Locator(".upload").WaitForAsync(new() { State = WaitForSelectorState.Detached });
        }
        finally
        {
            Api.HoldUploads = null;
            hold.SetResult();
        }

        // The next one goes through, and only that one is there.
        await visitor.Page.Locator("[data-upload-input]").SetInputFilesAsync([folder.Write("b.bin", [1])]);
        await FilesPage.Row(visitor.Page, "b.bin").WaitForAsync();
        Assert.False(files.Has("/workspace/a.bin"));
    }

    [Fact]
    public async Task Upload_DroppedOnAFolder_GoesThere()
    {
        var (sandbox, files) = dashboard.StartFiles("drop");
        files.Add("/workspace/in");
        await using var visitor = await dashboard.OpenFilesAsync("drop", sandbox, "/workspace/in");
        await FilesPage.TakesUploadsAsync(visitor.Page);
        await visitor.Page.GetByText("This folder is empty").WaitForAsync();

        await visitor.Page.EvaluateAsync("""
            () => {
              const dropped = new DataTransfer();
              dropped.items.add(new File(["dropped"], "note.txt"));
              const area = document.querySelector(".upload-area");
              for (const type of ["dragover", "drop"])
                area.dispatchEvent(new DragEvent(type, { dataTransfer: dropped, bubbles: true, cancelable: true }));
            }
            """);

        await FilesPage.Row(visitor.Page, "note.txt").WaitForAsync();
        Assert.Equal("dropped", Encoding.UTF8.GetString(files.Content("/workspace/in/note.txt")!));
    }

    [Fact]
    public async Task Uploads_WithoutSessionOrFromElsewhere_AreRefused()
    {
        var (sandbox, files) = dashboard.StartFiles("outside");
        await using var stranger = await dashboard.NewVisitorAsync();
        await using var visitor = await dashboard.NewVisitorAsync("outside");
        var url = $"/sandboxes/{sandbox.Id}/upload?path=%2Fworkspace%2Fx";

        var anonymous = await stranger.Context.APIRequest.PutAsync(url, new()
        {
            Data = "x",
            MaxRedirects = 0,
            Headers = new Dictionary<string, string> { ["X-Requested-With"] = "XMLHttpRequest" },
        });
        var foreign = await visitor.Context.APIRequest.PutAsync(url, new()
        {
            Data = "x",
            Headers = new Dictionary<string, string> { ["Origin"] = "http://127.0.0.1:1" },
        });

        Assert.Equal(401, anonymous.Status);
        Assert.Equal(403, foreign.Status);
        Assert.False(files.Has("/workspace/x"));
    }

    /// <summary>Files on disk for the browser to read.</summary>
    private sealed class TemporaryFolder : IDisposable
    {
        private readonly string _path = Directory.CreateTempSubdirectory("crownest-dashboard-upload-").FullName;

        public string Write(string name, byte[] content)
        {
            var path = Path.Combine(_path, name);
            File.WriteAllBytes(path, content);
            return path;
        }

        public void Dispose() => Directory.Delete(_path, recursive: true);
    }
}
