using System.Text;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

[Trait("Needs", "browser")]
public sealed class CommandPageTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    private FakeApi Api => dashboard.Api;

    [Fact]
    public async Task Output_WhileItIsWritten_IsAppendedUntilTheEnd()
    {
        var command = Start("live", "make test");
        await using var visitor = await dashboard.NewVisitorAsync("live");
        await visitor.Page.GotoAsync($"/commands/{command.Id}");
        var lines = visitor.Page.Locator(".output-lines .line");

        command.Write("first\n");
        await lines.GetByText("first").WaitForAsync();
        command.Write("wrong\n", OutputStream.Stderr).Write("half");
        await lines.GetByText("half").WaitForAsync();
        Assert.Equal("line err", await lines.GetByText("wrong").GetAttributeAsync("class"));
        await Assertions.Expect(visitor.Page.Locator(".follow-state")).ToHaveTextAsync("Live");
        command.Write(" and whole\n10%\r50%\r100%\n").Exit(3);

        await visitor.Page.Locator(".status", new() { HasText = "Exited 3" }).WaitForAsync();
        await visitor.Page.GetByText("Complete").WaitForAsync();
        Assert.Equal(["first", "wrong", "half and whole", "100%"], await lines.AllInnerTextsAsync());
        await Assertions.Expect(visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Cancel" })).ToHaveCountAsync(0);
        Assert.Equal("make test · CrowNest", await visitor.Page.TitleAsync());
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Output_ConnectionsBreakAndApiGoesAway_ContinuesWithoutGapOrDuplicate()
    {
        var command = Start("breaks", "seq 4");
        await using var visitor = await dashboard.NewVisitorAsync("breaks");
        await visitor.Page.GotoAsync($"/commands/{command.Id}");
        var lines = visitor.Page.Locator(".output-lines .line");
        command.Write("one\n");
        await lines.GetByText("one").WaitForAsync();

        command.BreakConnections();
        command.Write("two\n");
        await lines.GetByText("two").WaitForAsync();
        Api.IsAway = true;
        try
        {
            command.BreakConnections();
            command.Write("three\n");
            await visitor.Page.GetByText("Connection lost").WaitForAsync();
            // Longer than the client's own patience of six attempts in 7.75 s: the page must go on by itself.
            await visitor.Page.GetByText("The API does not answer.").WaitForAsync();
        }
        finally
        {
            Api.IsAway = false;
        }

        command.Write("four\n").Exit(0);
        await visitor.Page.GetByText("Complete").WaitForAsync(new() { Timeout = 30_000 });
        Assert.Equal(["one", "two", "three", "four"], await lines.AllInnerTextsAsync());
    }

    [Theory]
    [InlineData(CancelMode.Graceful)]
    [InlineData(CancelMode.Force)]
    public async Task Cancel_EitherWay_EndsIt(string mode)
    {
        var user = "cancel-" + mode;
        var command = Start(user, "sleep infinity");
        await using var visitor = await dashboard.NewVisitorAsync(user);
        await visitor.Page.GotoAsync($"/commands/{command.Id}");

        if (mode == CancelMode.Graceful)
        {
            await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Cancel" }).ClickAsync();
        }
        else
        {
            await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Force", Exact = true }).ClickAsync();
            await visitor.ScreenshotAsync("command-force-light");
            await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Force end" }).ClickAsync();
        }

        await visitor.Page.Locator(".status", new() { HasText = "Canceled" }).WaitForAsync();
        Assert.Equal(mode, command.Command.CancelMode);
        await visitor.Page.GetByText("It wrote nothing.").WaitForAsync();
        await Assertions.Expect(visitor.Page.Locator(".output-frame")).ToBeHiddenAsync();
    }

    [Fact]
    public async Task Output_PastItsRetention_IsNotCalledNothing()
    {
        var command = Start("expired", "make");
        command.End(current => current with { Status = CommandStatus.Exited, ExitCode = 0, Stdout = "", StdoutTruncated = true });
        await using var visitor = await dashboard.NewVisitorAsync("expired");
        await visitor.Page.GotoAsync($"/commands/{command.Id}");
        await visitor.Page.GetByText("Its output is no longer kept.").WaitForAsync();
    }

    [Fact]
    public async Task Output_Flood_KeepsTheLastLinesAndStaysUsable()
    {
        var command = Start("flood", "yes");
        for (var chunk = 0; chunk < 600; chunk++)
        {
            var text = new StringBuilder();
            for (var line = 0; line < 400; line++)
                text.Append("line ").Append((chunk * 400) + line).Append(" of a great flood of output\n");
            command.Write(text.ToString());
        }

        command.Write("the very end\n").Exit(0);
        await using var visitor = await dashboard.NewVisitorAsync("flood");
        await visitor.Page.GotoAsync($"/commands/{command.Id}");

        await visitor.Page.GetByText("the very end").WaitForAsync(new() { Timeout = 60_000 });
        Assert.InRange(await visitor.Page.Locator(".output-lines .line").CountAsync(), 1000, 4000);
        await Assertions.Expect(visitor.Page.GetByText("lines are shown")).ToBeVisibleAsync();
        Assert.True(await visitor.Page.GetByText("the very end").IsVisibleAsync());
        await visitor.ScreenshotAsync("command-flood-light");
    }

    [Fact]
    public async Task Output_ReaderScrollsUp_StaysThereUntilAsked()
    {
        var command = Start("scroll", "seq 1000");
        command.Write(string.Concat(Enumerable.Range(1, 300).Select(i => $"row {i}\n")));
        await using var visitor = await dashboard.NewVisitorAsync("scroll");
        await visitor.Page.GotoAsync($"/commands/{command.Id}");
        var scroller = visitor.Page.Locator(".output-lines");
        await scroller.GetByText("row 300").WaitForAsync();
        Assert.True(await IsAtEndAsync());

        await scroller.EvaluateAsync("e => e.scrollTop = 100");
        var jump = visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Follow the end" });
        await jump.WaitForAsync();
        command.Write("row 301\n");
        await scroller.GetByText("row 301").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        Assert.False(await IsAtEndAsync());
        await visitor.Page.Locator("main h1").FocusAsync();
        await visitor.Page.Keyboard.PressAsync("e");

        await Eventually.HoldsAsync(IsAtEndAsync, "the end is followed again");

        Task<bool> IsAtEndAsync() => scroller.EvaluateAsync<bool>("e => e.scrollHeight - e.scrollTop - e.clientHeight < 40");
    }

    [Fact]
    public async Task Download_OfTheLog_IsTheWholeText()
    {
        var command = Start("download", "echo").Write("a\n").Write("b\n", OutputStream.Stderr).Exit(0);
        await using var visitor = await dashboard.NewVisitorAsync("download");
        await visitor.Page.GotoAsync($"/commands/{command.Id}");

        var download = await visitor.Page.RunAndWaitForDownloadAsync(
            () => visitor.Page.GetByRole(AriaRole.Link, new() { Name = "Download" }).ClickAsync());

        Assert.Equal($"{command.Id}.log", download.SuggestedFilename);
        Assert.Equal("a\nb\n", await File.ReadAllTextAsync((await download.PathAsync())!));
    }

    [Fact]
    public async Task Command_OfSomebodyElse_IsNotThere()
    {
        var command = Start("owner", "true").Exit(0);
        await using var visitor = await dashboard.NewVisitorAsync("stranger");

        await visitor.Page.GotoAsync($"/commands/{command.Id}");

        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "There is no such command" }).WaitForAsync();
    }

    private FakeCommand Start(string user, string line) => Api.AddCommand(user, Api.AddSandbox(user).Id, line);
}
