using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using CrowNest.Contracts;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>What a user does, from the first sandbox to its end.</summary>
[Collection(StackFixture.Collection)]
public sealed class JourneyTests(StackFixture stack)
{
    [Theory]
    [InlineData("base", "bash --version | head -1 && git --version", "GNU bash")]
    [InlineData("python", "python3 -c 'print(sum(range(10)))' && python3 -m venv /tmp/v && /tmp/v/bin/pip --version", "45")]
    [InlineData("node", "node -e 'console.log(6*7)' && npm --version", "42")]
    [InlineData("python-node", "python3 --version && node --version", "Python 3")]
    public async Task Create_EveryTemplate_RunsItsPrograms(string template, string command, string expected)
    {
        var sandbox = await stack.CreateAsync(new CreateSandboxRequest { Template = template });

        var result = await stack.RunAsync(sandbox.Id, command);

        Assert.Equal((CommandStatus.Exited, 0), (result.Status, result.ExitCode));
        Assert.Contains(expected, result.Stdout, StringComparison.Ordinal);
        await stack.Client.Sandboxes.KillAsync(sandbox.Id);
    }

    [Fact]
    public async Task Sandbox_WholeLife_ShowsEveryStatusAndStaysReadable()
    {
        var sandbox = await stack.CreateAsync(new CreateSandboxRequest
        {
            Template = "base",
            TtlMs = 120_000,
            Metadata = new Dictionary<string, string> { ["journey"] = "codex/1" },
        });
        Assert.Equal(SandboxStatus.Ready, sandbox.Status);
        Assert.Equal(sandbox.CreatedAt.AddMilliseconds(120_000), sandbox.ExpiresAt);

        var command = await stack.StartCommandAsync(sandbox.Id, "echo out; echo err >&2; sleep 2; exit 3");
        Assert.Equal(SandboxStatus.Running, (await stack.Client.Sandboxes.GetAsync(sandbox.Id)).Status);
        var output = await Output.FollowAsync(stack.Client, command.Id);
        Assert.Equal(("out\n", "err\n", 3), (output.Stdout, output.Stderr, output.Final.ExitCode));
        Assert.Equal(SandboxStatus.Idle, (await stack.Client.Sandboxes.GetAsync(sandbox.Id)).Status);

        var extended = await stack.Client.Sandboxes.ExtendAsync(sandbox.Id, TimeSpan.FromMinutes(10));
        Assert.Equal(600_000, extended.TtlMs);
        var listed = await stack.Client.Sandboxes.ListAsync(new() { Metadata = sandbox.Metadata });
        Assert.Equal(sandbox.Id, Assert.Single(listed.Data).Id);

        var killed = await stack.Client.Sandboxes.KillAsync(sandbox.Id);
        Assert.Equal((SandboxStatus.Destroyed, DestroyedReason.UserKilled), (killed.Status, killed.DestroyedReason));
        Assert.Equal(killed, await stack.Client.Sandboxes.KillAsync(sandbox.Id), SandboxComparer.Instance);
        Assert.Equal("out\n", (await stack.Client.Commands.GetAsync(command.Id)).Stdout);
        Assert.Equal("out\n", (await Output.FollowAsync(stack.Client, command.Id)).Stdout);
        using var refused = await stack.Http.PostAsJsonAsync($"v1/sandboxes/{sandbox.Id}/commands/run", new { command = "true" });
        Assert.Equal(HttpStatusCode.Gone, refused.StatusCode);
    }

    [Fact]
    public async Task Environment_OfAProcess_HoldsTheContextAndNoSecret()
    {
        var sandbox = await stack.CreateAsync();

        var result = await stack.Client.Commands.RunAsync(
            sandbox.Id, new RunCommandRequest { Command = "env | sort; pwd; id -u", Env = new Dictionary<string, string> { ["MINE"] = "yes no" } });

        var lines = result.Stdout!.Split('\n');
        Assert.Contains("CROWNEST=1", lines);
        Assert.Contains($"CROWNEST_SANDBOX_ID={sandbox.Id}", lines);
        Assert.Contains($"CROWNEST_PROJECT_ID={sandbox.ProjectId}", lines);
        Assert.Contains($"CROWNEST_ORG_ID={sandbox.OrgId}", lines);
        Assert.Contains($"CROWNEST_TEMPLATE_ID={sandbox.TemplateId}", lines);
        Assert.Contains($"CROWNEST_TEMPLATE_VERSION_ID={sandbox.TemplateVersionId}", lines);
        Assert.Contains("CROWNEST_WORKSPACE=/workspace", lines);
        Assert.Contains("MINE=yes no", lines);
        Assert.Contains("/workspace", lines);
        Assert.DoesNotContain("0", lines);
        Assert.DoesNotContain("Secret", result.Stdout, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(stack.ApiKey, result.Stdout, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Ttl_Passes_DestroysWithinASecond(int seconds)
    {
        var sandbox = await stack.CreateAsync(new CreateSandboxRequest { Template = "base", TtlMs = seconds * 1000 });
        var command = await stack.StartCommandAsync(sandbox.Id, "sleep 60");

        var final = (await Output.FollowAsync(stack.Client, command.Id)).Final;

        Assert.Equal((CommandStatus.Killed, KilledReason.SandboxDestroyed), (final.Status, final.KilledReason));
        var gone = await stack.Client.Sandboxes.GetAsync(sandbox.Id);
        Assert.Equal((SandboxStatus.Destroyed, DestroyedReason.TtlExpired), (gone.Status, gone.DestroyedReason));
        Assert.InRange((gone.DestroyedAt!.Value - gone.ExpiresAt).TotalSeconds, 0, 1);
    }

    [Fact]
    public async Task Run_TimesOut_Answers200WithWhatWasWritten()
    {
        var sandbox = await stack.CreateAsync();

        var result = await stack.RunAsync(sandbox.Id, "trap '' TERM; echo before; while :; do sleep 1; done", timeoutMs: 500);

        Assert.Equal((CommandStatus.TimedOut, "before\n", "SIGKILL"), (result.Status, result.Stdout, result.TerminationSignal));
    }

    [Fact]
    public async Task Cancel_Graceful_EndsTheWholeTree()
    {
        var sandbox = await stack.CreateAsync();
        var command = await stack.StartCommandAsync(sandbox.Id, "(setsid sleep 1000 &); sleep 1001 & echo started; wait");
        await Eventually.HoldsAsync(
            async () => (await stack.Client.Commands.LogsAsync(command.Id)).Data.Count > 0, "the command has started");

        var canceled = await stack.Client.Commands.CancelAsync(command.Id);

        Assert.Equal((CommandStatus.Canceled, CancelMode.Graceful), (canceled.Status, canceled.CancelMode));
        Assert.NotNull(canceled.CanceledAt);
        Assert.Equal("0\n", (await stack.RunAsync(sandbox.Id, "pgrep -c sleep || true")).Stdout);
        Assert.Equal(canceled.FinishedAt, (await stack.Client.Commands.CancelAsync(command.Id, CancelMode.Force)).FinishedAt);
    }

    [Fact]
    public async Task Logs_PagedOneByOne_AreTheWholeOutput()
    {
        var sandbox = await stack.CreateAsync();
        var command = await stack.RunAsync(sandbox.Id, "for i in 1 2 3 4 5; do echo line $i; sleep 0.05; done");

        var (text, after) = ("", 0L);
        while (true)
        {
            var page = await stack.Client.Commands.LogsAsync(command.Id, after, limit: 1);
            text += string.Concat(page.Data.Select(c => c.Data));
            if (!page.HasMore)
            {
                break;
            }

            after = page.NextSeq!.Value;
        }

        Assert.Equal("line 1\nline 2\nline 3\nline 4\nline 5\n", text);
        var link = await stack.Client.Commands.GetLogDownloadUrlAsync(command.Id);
        using var anonymous = new HttpClient();
        Assert.Equal(text, await anonymous.GetStringAsync(new Uri(link.Url)));
    }

    [Fact]
    public async Task Network_NoneByDefault_ReachesNothing()
    {
        var sandbox = await stack.CreateAsync();

        var result = await stack.RunAsync(sandbox.Id, "ls /sys/class/net; cat /proc/net/route | wc -l");

        Assert.Equal("lo\n1\n", result.Stdout);
    }

    [Fact]
    public async Task Answers_AllRoutes_HoldNoNullMember()
    {
        var sandbox = await stack.CreateAsync();
        var command = await stack.RunAsync(sandbox.Id, "true");
        string[] routes =
        [
            "v1/sandboxes", $"v1/sandboxes/{sandbox.Id}", $"v1/sandboxes/{sandbox.Id}/commands", $"v1/commands/{command.Id}",
            $"v1/commands/{command.Id}/logs", "v1/projects", "v1/templates", "v1/nothing", "healthz", "openapi.json",
        ];
        foreach (var route in routes)
        {
            var text = await (await stack.Http.GetAsync(new Uri(route, UriKind.Relative))).Content.ReadAsStringAsync();
            AssertNoNull(JsonNode.Parse(text), route);
        }

        static void AssertNoNull(JsonNode? node, string path)
        {
            Assert.True(node is not null, $"null at {path}");
            foreach (var (name, child) in (node as JsonObject)?.AsEnumerable() ?? [])
            {
                AssertNoNull(child, $"{path}.{name}");
            }

            foreach (var child in node as JsonArray ?? [])
            {
                AssertNoNull(child, $"{path}[]");
            }
        }
    }
}
