using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>What docs/guides/verify-evidence.md tells a verifier to do, on right and on forged evidence.</summary>
public sealed partial class VerifyGuideTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private const string VerifierPart = "## What the verifier does";

    [Fact]
    public async Task Verifier_RightEvidence_BelievesIt()
    {
        var folder = await HandOverAsync();
        var (code, output) = await VerifyAsync(folder);
        Assert.True(code == 0, output);
        Assert.Contains("Verified OK", output, StringComparison.Ordinal);
        Assert.Contains("digest agrees", output, StringComparison.Ordinal);
        Assert.Contains("project.tar.gz: OK", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Library_WhereItIsInstalled_BelievesItToo()
    {
        using var probe = Process.Start(
            "python3", ["-c", "import sys, importlib.util as u; sys.exit(u.find_spec('cryptography') is None)"]);
        await probe.WaitForExitAsync();
        if (probe.ExitCode != 0)
        {
            // The guide names the package as one way of two; nothing else here needs it.
            return;
        }

        var (code, output) = await VerifyAsync(await HandOverAsync(), "python3 - << 'PYTHON'\n{0}PYTHON\n");
        Assert.True(code == 0, output);
        Assert.Equal(2, output.Split("Verified OK").Length - 1);
    }

    [Theory]
    [InlineData("header")]
    [InlineData("payload")]
    [InlineData("signature")]
    [InlineData("archive")]
    public async Task Verifier_SomethingChanged_DoesNot(string what)
    {
        var folder = await HandOverAsync();
        var jws = Path.Combine(folder, "evidence.jws");
        var parts = (await File.ReadAllTextAsync(jws)).Split('.');
        switch (what)
        {
            case "archive":
                await File.AppendAllTextAsync(Path.Combine(folder, "project.tar.gz"), "x");
                break;
            default:
                var part = Array.IndexOf(["header", "payload", "signature"], what);
                var text = parts[part];
                parts[part] = text[..8] + (text[8] == 'A' ? 'B' : 'A') + text[9..];
                await File.WriteAllTextAsync(jws, string.Join('.', parts));
                break;
        }

        var (code, output) = await VerifyAsync(folder);
        Assert.True(code != 0, output);
    }

    /// <summary>A folder with what a verifier gets.</summary>
    private async Task<string> HandOverAsync()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync(
            new { command = "python \u00e4 \u007f \"x\"\t\ud83d\ude00", metadata = new { b = "1", a = "\u20ac" } });
        var bytes = RunCalls.Archive();
        using var uploaded = await tenant.UploadAsync(id, bytes);
        using var started = await tenant.PostAsync(id, "start");
        await TestRunWorker.Of(fixture).CarryAsync(id, "ok");
        var folder = Directory.CreateTempSubdirectory("crownest-verify-").FullName;
        await File.WriteAllBytesAsync(Path.Combine(folder, "project.tar.gz"), bytes);
        await File.WriteAllTextAsync(
            Path.Combine(folder, "evidence.jws"),
            await tenant.Http.GetStringAsync(new Uri($"/v1/workspace-runs/{id}/evidence?format=jws", UriKind.Relative)));
        return folder;
    }

    /// <param name="library">How the block that uses a library is run; null: it is not.</param>
    private async Task<(int Code, string Output)> VerifyAsync(string folder, string? library = null)
    {
        try
        {
            var guide = await File.ReadAllTextAsync(Path.Combine(Checkout(), "docs", "guides", "verify-evidence.md"));
            var script = new StringBuilder("set -euo pipefail\n");
            foreach (Match block in ShellBlock().Matches(guide[guide.IndexOf(VerifierPart, StringComparison.Ordinal)..]))
            {
                script.Append(block.Groups["text"].Value);
            }

            if (library is not null)
            {
                var block = LibraryBlock().Match(guide).Groups["text"].Value;
                script.Append(library.Replace("{0}", block, StringComparison.Ordinal));
            }

            using var shell = Process.Start(new ProcessStartInfo("bash", ["-c", $"{{ {script} }} 2>&1"])
            {
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                Environment = { ["CROWNEST_API_URL"] = fixture.Api.Client().BaseAddress!.ToString().TrimEnd('/') },
            })!;
            var output = await shell.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(60));
            await shell.WaitForExitAsync();
            return (shell.ExitCode, output);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Checkout()
    {
        var folder = AppContext.BaseDirectory;
        while (!Directory.Exists(Path.Combine(folder, "docs", "guides")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The checkout is not above the tests.");
        }

        return folder;
    }

    [GeneratedRegex("^```sh\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex ShellBlock();

    [GeneratedRegex("^```python\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex LibraryBlock();
}
