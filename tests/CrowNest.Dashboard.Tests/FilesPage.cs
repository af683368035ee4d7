using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

/// <summary>The file browser of a sandbox, as tests come to it and find their way in it.</summary>
internal static class FilesPage
{
    public static (Sandbox Sandbox, FakeFiles Files) StartFiles(this DashboardFixture dashboard, string user)
    {
        var sandbox = dashboard.Api.AddSandbox(user);
        return (sandbox, dashboard.Api.FilesOf(sandbox.Id));
    }

    public static async Task<Visitor> OpenFilesAsync(this DashboardFixture dashboard, string user, Sandbox sandbox, string? path = null)
    {
        var visitor = await dashboard.NewVisitorAsync(user);
        await visitor.Page.GotoAsync($"/sandboxes/{sandbox.Id}?show=files" + (path is null ? "" : "&path=" + Uri.EscapeDataString(path)));
        return visitor;
    }

    public static ILocator Row(IPage page, string name) => page.Locator("tbody tr").Filter(new() { HasText = name }).First;

    public static ILocator Actions(IPage page, string name) =>
        page.GetByRole(AriaRole.Button, new() { Name = $"Actions for {name}", Exact = true });

    public static Task HasFocusAsync(ILocator element) => Eventually.HoldsAsync(
        () => element.EvaluateAsync<bool>("e => e === document.activeElement"), $"{element} has the focus");
}
