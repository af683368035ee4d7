using System.Diagnostics;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

/// <summary>
/// The dashboard as a process of its own, beside a fake API, looked at with Chromium. Every class has one, so that a class may take its API
/// away while others go on.
/// </summary>
public sealed class DashboardFixture(ChromiumFixture chromium) : IAsyncLifetime
{
    private const float PatienceMs = 15_000;

    private readonly StringBuilder _log = new();
    private readonly string _state = Directory.CreateTempSubdirectory("crownest-dashboard-tests-").FullName;
    private Process? _process;

    internal FakeApi Api { get; private set; } = null!;

    public string Url { get; private set; } = "";

    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    /// <summary>Most memory that the dashboard has ever used, in bytes.</summary>
    public long PeakMemory
    {
        get
        {
            _process!.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    /// <summary>Memory that it uses now, in bytes.</summary>
    public long Memory
    {
        get
        {
            _process!.Refresh();
            return _process.WorkingSet64;
        }
    }

    public async ValueTask InitializeAsync()
    {
        Api = await FakeApi.StartAsync();
        Url = $"http://127.0.0.1:{FreePort.Next()}";
        await StartDashboardAsync();
        Assertions.SetDefaultExpectTimeout(PatienceMs);
    }

    public async ValueTask DisposeAsync()
    {
        await StopDashboardAsync();
        await Api.DisposeAsync();
        Directory.Delete(_state, recursive: true);
        Assert.True(Api.ContractFaults.Count == 0, "By its document the API does not do so:\n" + string.Join('\n', Api.ContractFaults.Distinct()));
    }

    public async Task StartDashboardAsync()
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Metadata("DashboardDll")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _state,
        };
        start.Environment["ASPNETCORE_URLS"] = Url;
        start.Environment["ASPNETCORE_ENVIRONMENT"] = "Production";
        start.Environment["CrowNest__DeploymentSecret"] = FakeApi.Secret;
        start.Environment["CrowNest__StateDirectory"] = _state;
        start.Environment["services__api__http__0"] = Api.Url;
        start.Environment["Dashboard__PublicApiUrl"] = "http://127.0.0.1:8787";
        _process = Process.Start(start)!;
        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var http = new HttpClient();
        await Eventually.HoldsAsync(
            async () =>
            {
                if (_process.HasExited)
                    throw new InvalidOperationException($"The dashboard ended with {_process.ExitCode}:\n{Log}");
                try
                {
                    return (await http.GetAsync(new Uri(Url + "/healthz"))).IsSuccessStatusCode;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            "the dashboard is healthy",
            TimeSpan.FromSeconds(60));
    }

    public async Task StopDashboardAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
        _process = null;
    }

    /// <summary>A browser of its own: no cookie, no storage, of nobody else.</summary>
    internal async Task<Visitor> NewVisitorAsync(
        string? user = null, ColorScheme scheme = ColorScheme.Light, int width = 1280, int height = 860)
    {
        var browser = await chromium.Browser;
        var context = await browser.NewContextAsync(new()
        {
            BaseURL = Url,
            ColorScheme = scheme,
            ViewportSize = new() { Width = width, Height = height },
            ReducedMotion = ReducedMotion.Reduce,
        });
        context.SetDefaultTimeout(PatienceMs);
        var visitor = new Visitor(context, await context.NewPageAsync());
        if (user is not null)
        {
            await visitor.Page.GotoAsync("/sign-in?token=" + Api.NewLink(user));
            await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Sandboxes", Exact = true }).WaitForAsync();
        }

        return visitor;
    }

    internal static string Metadata(string key) => typeof(DashboardFixture).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_log)
            _log.AppendLine(line.Data);
    }
}

/// <summary>One browser context with its page, and what the browser complained about.</summary>
internal sealed class Visitor : IAsyncDisposable
{
    public Visitor(IBrowserContext context, IPage page)
    {
        Context = context;
        Page = page;
        page.PageError += (_, error) => Complaints.Add(error);
        page.Console += (_, message) =>
        {
            if (message.Text.Contains("Content Security Policy", StringComparison.OrdinalIgnoreCase))
                Complaints.Add(message.Text);
        };
    }

    public IBrowserContext Context { get; }

    public IPage Page { get; }

    /// <summary>Uncaught errors and violations of the content security policy.</summary>
    public List<string> Complaints { get; } = [];

    /// <summary>
    /// Waits until the address is one whose path begins so. Playwright's own WaitForURLAsync looks at the address first and listens
    /// for changes afterwards, and a change between the two is lost: several of 1,500 in a loop on a busy machine.
    /// </summary>
    public Task ReachesAsync(string path) => Assertions.Expect(Page)
        .ToHaveURLAsync(new Regex("^https?://[^/]+" + Regex.Escape(path)));

    public async Task ScreenshotAsync(string name)
    {
        var folder = DashboardFixture.Metadata("ScreenshotFolder");
        Directory.CreateDirectory(folder);
        await Page.ScreenshotAsync(new() { Path = Path.Combine(folder, name + ".png"), FullPage = true });
    }

    public async ValueTask DisposeAsync() => await Context.DisposeAsync();
}
