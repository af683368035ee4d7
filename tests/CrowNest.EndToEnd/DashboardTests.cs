using System.Formats.Tar;
using System.IO.Compression;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Aspire.Hosting.Testing;
using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Playwright;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>The dashboard in a real browser over the real stack; its own tests look at every page over a made-up API.</summary>
[Collection(StackFixture.Collection)]
public sealed class DashboardTests(StackFixture stack)
{
    private const float PatienceMs = 30_000;

    [Fact]
    public async Task Visitor_SignsInRunsACommandAndKills_SeesItHappen()
    {
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await LaunchAsync(playwright);
        var page = await browser.NewPageAsync();
        page.SetDefaultTimeout(PatienceMs);
        var sandbox = await stack.CreateAsync();

        await page.GotoAsync(await NewSignInLinkAsync());
        await page.GetByRole(AriaRole.Row).Filter(new() { HasText = sandbox.Id }).WaitForAsync();
        await page.GotoAsync($"{stack.App.GetEndpoint("dashboard")}sandboxes/{sandbox.Id}");
        var line = page.GetByLabel("Command", new() { Exact = true });
        await line.WaitForAsync();
        await line.FillAsync("for i in 1 2 3; do echo tick $i; sleep 0.5; done; echo 'the <b>end</b>'");
        await line.PressAsync("Enter");

        // Not WaitForURLAsync, which misses an address that changes while it looks.
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/commands/cmd_"), new() { Timeout = PatienceMs });
        await page.GetByText("tick 3").WaitForAsync();
        await page.GetByText("the <b>end</b>", new() { Exact = true }).WaitForAsync();
        await ScreenshotAsync(page, "stack-command");
        var command = Assert.Single((await stack.Client.Commands.ListAsync(sandbox.Id)).Data);
        Assert.Contains(command.Id, page.Url, StringComparison.Ordinal);

        await page.GotoAsync($"{stack.App.GetEndpoint("dashboard")}sandboxes/{sandbox.Id}");
        await page.GetByRole(AriaRole.Button, new() { Name = "Kill", Exact = true }).WaitForAsync();
        await ScreenshotAsync(page, "stack-sandbox");
        await page.GetByRole(AriaRole.Button, new() { Name = "Kill", Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Kill sandbox" }).ClickAsync();

        await Eventually.GivesAsync(
            () => stack.Client.Sandboxes.GetAsync(sandbox.Id), s => s.Status == SandboxStatus.Destroyed, "the sandbox is destroyed",
            StackFixture.Patience);
    }

    [Fact]
    public async Task Visitor_UploadsAndExports_FindsTheArtifactAndDownloadsIt()
    {
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await LaunchAsync(playwright);
        var page = await browser.NewPageAsync();
        page.SetDefaultTimeout(PatienceMs);
        var sandbox = await stack.CreateAsync();
        await stack.Client.Commands.RunAsync(sandbox.Id, new()
        {
            Command = "mkdir -p out && echo 'made <b>inside</b>' > out/report.txt && touch \"$(printf 'two\\nlines')\"",
        });
        var content = new byte[3 * 1024 * 1024];
        Random.Shared.NextBytes(content);
        const string Name = "up load+%41&ü.bin";

        await page.GotoAsync(await NewSignInLinkAsync());
        await page.GetByRole(AriaRole.Row).Filter(new() { HasText = sandbox.Id }).WaitForAsync();
        await page.GotoAsync($"{stack.App.GetEndpoint("dashboard")}sandboxes/{sandbox.Id}?show=files");
        await page.GetByRole(AriaRole.Link, new() { Name = "two^Jlines" }).WaitForAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "out/" }).ClickAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "report.txt" }).ClickAsync();
        await page.Locator(".file-text", new() { HasText = "made <b>inside</b>" }).WaitForAsync();
        await page.GoBackAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "report.txt" }).WaitForAsync();
        await page.Locator("[data-upload-input]").SetInputFilesAsync(
            new FilePayload { Name = Name, MimeType = "application/octet-stream", Buffer = content });
        await page.Locator(".upload.done").WaitForAsync();
        await ScreenshotAsync(page, "stack-files");

        await page.GetByRole(AriaRole.Button, new() { Name = $"Actions for {Name}" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Export as artifact" }).ClickAsync();
        await page.GetByLabel("Remote path").FillAsync($"builds/{sandbox.Id}/upload.bin");
        await page.GetByLabel("Remote path").PressAsync("Enter");
        await page.GetByText("Kept as artifact").WaitForAsync();
        await stack.Client.Sandboxes.KillAsync(sandbox.Id);
        await page.GetByRole(AriaRole.Heading, new() { Name = "Its files are gone" }).WaitForAsync();
        await page.GotoAsync($"{stack.App.GetEndpoint("dashboard")}artifacts?prefix=builds%2F{sandbox.Id}");
        var row = page.GetByRole(AriaRole.Row).Filter(new() { HasText = $"builds/{sandbox.Id}/upload.bin" });
        await row.WaitForAsync();
        await ScreenshotAsync(page, "stack-artifacts");
        var download = await page.RunAndWaitForDownloadAsync(() =>
            row.GetByRole(AriaRole.Button, new() { Name = "Download upload.bin" }).ClickAsync());

        Assert.Equal("upload.bin", download.SuggestedFilename);
        Assert.Equal(content, await File.ReadAllBytesAsync(await download.PathAsync()));
        await row.GetByRole(AriaRole.Button, new() { Name = "Delete", Exact = true }).ClickAsync();
        await row.GetByRole(AriaRole.Button, new() { Name = "Delete artifact" }).ClickAsync();
        await page.GetByText("No artifact matches").WaitForAsync();
        Assert.Empty((await stack.Client.Artifacts.ListAsync(new() { SandboxId = sandbox.Id })).Data);
    }

    [Fact]
    public async Task Visitor_OpensARunBeforeItStarts_FollowsItToItsEvidence()
    {
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await LaunchAsync(playwright);
        var page = await browser.NewPageAsync();
        page.SetDefaultTimeout(PatienceMs);
        var runs = stack.Client.WorkspaceRuns;
        var run = await runs.CreateAsync(new()
        {
            Command = "for i in 1 2 3; do echo step $i; sleep 0.5; done; cp input.txt result.txt; echo 'bad <b>news</b>' >&2; exit 3",
            Template = "base",
            Artifacts = [new("result.txt"), new("missing.txt")],
        });
        await page.GotoAsync(await NewSignInLinkAsync());
        await page.GetByRole(AriaRole.Heading, new() { Name = "Sandboxes", Exact = true }).WaitForAsync();
        await page.GotoAsync($"{stack.App.GetEndpoint("dashboard")}runs");
        await page.GetByRole(AriaRole.Row).Filter(new() { HasText = "step $i" }).GetByRole(AriaRole.Link).ClickAsync();
        await page.GetByText("Waiting for the archive").WaitForAsync();

        using var archive = Archive("input.txt", "given");
        await runs.UploadArchiveAsync(run.Id, archive, await WorkspaceRunsClient.DescribeAsync(archive));
        await page.GetByText("Archive verified").WaitForAsync();
        await runs.StartAsync(run.Id);

        await page.GetByText("step 2", new() { Exact = true }).WaitForAsync();
        await page.Locator(".line.err", new() { HasText = "bad <b>news</b>" }).WaitForAsync();
        await page.GetByText("The command ended with exit code 3").WaitForAsync();
        await page.GetByText("Complete").WaitForAsync();
        await page.GetByText("missing.txt was not collected").WaitForAsync();
        await page.GetByRole(AriaRole.Row).Filter(new() { HasText = "result.txt" }).WaitForAsync();
        var digest = (await runs.GetEvidenceAsync(run.Id)).EvidenceSha256!;
        await page.Locator("dd", new() { HasText = digest }).WaitForAsync();
        await ScreenshotAsync(page, "stack-run");
        var jws = await page.RunAndWaitForDownloadAsync(() => page.GetByRole(AriaRole.Link, new() { Name = "Download JWS" }).ClickAsync());
        Assert.Equal(3, (await File.ReadAllTextAsync(await jws.PathAsync())).Split('.').Length);
    }

    private static MemoryStream Archive(string name, string content)
    {
        var file = new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)) };
        var archive = new MemoryStream();
        using (var gzip = new GZipStream(archive, CompressionLevel.Fastest, leaveOpen: true))
        using (var tar = new TarWriter(gzip))
            tar.WriteEntry(file);
        archive.Position = 0;
        return archive;
    }

    private static Task<IBrowser> LaunchAsync(IPlaywright playwright) => playwright.Chromium.LaunchAsync(new()
    {
        ExecutablePath = "/usr/bin/chromium",
        Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"],
    });

    private async Task<string> NewSignInLinkAsync()
    {
        using var http = stack.App.CreateHttpClient("api");
        http.DefaultRequestHeaders.Authorization = new("Bearer", (await File.ReadAllTextAsync(Path.Combine(stack.StateDirectory, "secrets", "deployment-secret"))).Trim());
        using var response = await http.PostAsync(new Uri("internal/sign-in-links", UriKind.Relative), content: null);
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<JsonObject>())!["url"]!.GetValue<string>();
    }

    private static async Task ScreenshotAsync(IPage page, string name) =>
        await page.ScreenshotAsync(new() { Path = Path.Combine(AppContext.BaseDirectory, "screenshots", $"{name}.png"), FullPage = true });
}
