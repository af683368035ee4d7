using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>
/// Runs the guides as a reader would: every <c>sh</c> block in one shell, top to bottom. A <c>text</c> block behind one is what it must
/// print.
/// </summary>
[Collection(StackFixture.Collection)]
public sealed partial class GuideTests(StackFixture stack)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    [Theory]
    [InlineData("artifacts.md")]
    [InlineData("workspace-runs.md")]
    [InlineData("verify-evidence.md")]
    public async Task Guide_FollowedWordByWord_DoesWhatItSays(string name)
    {
        var guide = await File.ReadAllTextAsync(Path.Combine(StackFixture.Checkout, "docs", "guides", name));
        var script = new StringBuilder("set -euo pipefail\n");
        var expected = new StringBuilder();
        foreach (Match block in Block().Matches(guide))
        {
            (block.Groups["kind"].Value == "sh" ? script : expected).Append(block.Groups["text"].Value);
        }

        Assert.Equal(expected.ToString(), await RunAsync(script.ToString()));
    }

    private async Task<string> RunAsync(string script)
    {
        var folder = Directory.CreateTempSubdirectory("crownest-guide-").FullName;
        try
        {
            var start = new ProcessStartInfo("bash", ["-c", script])
            {
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment = { ["CROWNEST_API_URL"] = stack.Http.BaseAddress!.ToString().TrimEnd('/'), ["CROWNEST_API_KEY"] = stack.ApiKey },
            };
            using var limit = new CancellationTokenSource(Patience);
            using var shell = Process.Start(start)!;
            var (output, errors) = (shell.StandardOutput.ReadToEndAsync(limit.Token), shell.StandardError.ReadToEndAsync(limit.Token));
            await shell.WaitForExitAsync(limit.Token);
            Assert.True(shell.ExitCode == 0, $"exit code {shell.ExitCode}\n{await output}\n{await errors}");
            return await output;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [GeneratedRegex("^```(?<kind>sh|text)\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();
}
