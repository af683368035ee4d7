using CrowNest.Dashboard.Tests;
using Microsoft.Playwright;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(ChromiumFixture))]
// As many as there are processors: pages are work for Chromium and the dashboard.
[assembly: Parallelization(Mode = ParallelMode.Collections)]

namespace CrowNest.Dashboard.Tests;

/// <summary>One Chromium for all classes, started by the first that looks at a page.</summary>
public sealed class ChromiumFixture : IAsyncDisposable
{
    private static readonly string[] Arguments =
    [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
    ];

    private readonly Lazy<Task<IBrowser>> _browser;
    private IPlaywright? _playwright;

    public ChromiumFixture() => _browser = new(LaunchAsync);

    internal Task<IBrowser> Browser => _browser.Value;

    public async ValueTask DisposeAsync()
    {
        if (_browser.IsValueCreated)
        {
            await (await Browser).DisposeAsync();
            _playwright?.Dispose();
        }
    }

    private async Task<IBrowser> LaunchAsync()
    {
        _playwright = await Playwright.CreateAsync();
        return await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = "/usr/bin/chromium", Args = Arguments });
    }
}
