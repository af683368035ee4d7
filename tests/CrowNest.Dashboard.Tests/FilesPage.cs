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

    /// <summary>Waits until the page takes what is chosen or dropped: its script comes to the upload area after the first rendering.</summary>
    public static Task TakesUploadsAsync(IPage page) => page.WaitForFunctionAsync("""
        () => {
          const area = document.querySelector(".upload-area");
          if (!area) return false;
          const dragged = new DataTransfer();
          dragged.items.add(new File([], "none"));
          const isTaken = !area.dispatchEvent(new DragEvent("dragover", { dataTransfer: dragged, cancelable: true }));
          area.dispatchEvent(new DragEvent("dragleave"));
          return isTaken;
        }
        """);

    public static ILocator Row(IPage page, string name) => page.Locator("tbody tr").Filter(new() { HasText = name }).First;

    public static ILocator Actions(IPage page, string name) =>
        page.GetByRole(AriaRole.Button, new() { Name = $"Actions for {name}", Exact = true });

    public static Task HasFocusAsync(ILocator element) => Eventually.HoldsAsync(
        () => element.EvaluateAsync<bool>("e => e === document.activeElement"), $"{element} has the focus");
}
