using CrowNest.Api.Artifacts;
using CrowNest.Api.Commands;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Sandboxes;
using Xunit;

namespace CrowNest.Api.Tests.Commands;

public sealed class CommandRulesTests
{
    [Theory]
    [InlineData("/workspace", "/workspace")]
    [InlineData("/workspace/", "/workspace")]
    [InlineData("a/b", "/workspace/a/b")]
    [InlineData(".", "/workspace")]
    [InlineData("./a//b/.", "/workspace/a/b")]
    [InlineData("a/../b", "/workspace/b")]
    [InlineData("/workspace/a/../../workspace/b", "/workspace/b")]
    [InlineData("../workspace/x", "/workspace/x")]
    [InlineData("/../workspace", "/workspace")]
    [InlineData("..a", "/workspace/..a")]
    [InlineData("..", null)]
    [InlineData("a/../../b", null)]
    [InlineData("/", null)]
    [InlineData("/etc", null)]
    [InlineData("/workspaces", null)]
    [InlineData("/workspace/..", null)]
    [InlineData("../../../../etc/passwd", null)]
    public void Normalize_Path_IsAbsoluteOrOutside(string path, string? expected) => Assert.Equal(expected, WorkspacePath.Normalize(path));

    [Theory]
    [InlineData(65_536, true)]
    [InlineData(65_537, false)]
    public void CheckRun_CommandLength_IsBounded(int length, bool fits) =>
        Decide(fits, "command", () => Check(new RunCommandRequest { Command = new string('x', length) }));

    [Fact]
    public void CheckRun_CommandLength_CountsBytes() =>
        Decide(false, "command", () => Check(new RunCommandRequest { Command = new string('ü', 32_769) }));

    [Theory]
    [InlineData(1, true)]
    [InlineData(600_000, true)]
    [InlineData(0, false)]
    [InlineData(600_001, false)]
    public void CheckRun_Timeout_IsBounded(long timeoutMs, bool fits) =>
        Decide(fits, "timeoutMs", () => Check(new RunCommandRequest { Command = "true", TimeoutMs = timeoutMs }));

    [Theory]
    [InlineData(1, true)]
    [InlineData(5000, true)]
    [InlineData(0, false)]
    [InlineData(5001, false)]
    public void CheckStart_Timeout_IsBoundedByTheSession(long timeoutMs, bool fits) =>
        Decide(fits, "timeoutMs", () => CommandRules.CheckStart(new RunCommandRequest { Command = "true", TimeoutMs = timeoutMs }, 5000));

    [Fact]
    public void Check_Defaults_AreTheContracts()
    {
        var run = Check(new RunCommandRequest { Command = " ls " });
        Assert.Equal((" ls ", "/workspace", 60_000L, 0), (run.Command, run.Cwd, run.TimeoutMs, run.Env.Count));
        Assert.Null(CommandRules.CheckStart(new RunCommandRequest { Command = "ls" }, 1).TimeoutMs);
    }

    [Theory]
    [InlineData("A", true)]
    [InlineData("_a9", true)]
    [InlineData("crownest", true)]
    [InlineData("", false)]
    [InlineData("9a", false)]
    [InlineData("a-b", false)]
    [InlineData("a=b", false)]
    [InlineData("A\n", false)]
    [InlineData("ü", false)]
    public void CheckRun_EnvironmentName_HasTheKernelsForm(string key, bool fits) => Decide(fits, "env", () =>
        Check(new RunCommandRequest { Command = "true", Env = new Dictionary<string, string> { [key] = "" } }));

    [Theory]
    [InlineData("CROWNEST")]
    [InlineData("CROWNEST_X")]
    [InlineData("CROWNESTX")]
    public void CheckRun_ReservedEnvironmentName_HasItsOwnCode(string key)
    {
        var request = new RunCommandRequest { Command = "true", Env = new Dictionary<string, string> { [key] = "" } };
        Assert.Equal("reserved_env_key", Assert.Throws<ApiException>(() => Check(request)).Code);
    }

    [Fact]
    public void CheckRun_Collect_HasAShapeAndTakesThePlansBounds()
    {
        var good = new CollectRequest("a.txt");
        Assert.Null(Check(new RunCommandRequest { Command = "true", Collect = [], CollectOn = "always" }).Collect);
        var plan = Collect([good, new CollectRequest("../b", "name")], "always");
        Assert.Equal([new CollectItem("a.txt"), new CollectItem("../b", "name")], plan!.Entries);
        Assert.Equal(("always", (long)TimeSpan.FromDays(30).TotalMilliseconds, 1000), (plan.On, plan.RetentionMs, plan.MaxBytes));
        Assert.Equal("success", Collect([.. Enumerable.Repeat(good, 32)])!.On);
        foreach (var wrong in new CollectRequest[][]
        {
            [.. Enumerable.Repeat(good, 33)], [new CollectRequest("")], [new CollectRequest(null)], [new CollectRequest("a", "")],
            [new CollectRequest("a", new string('x', 256))], [null!], [new CollectRequest(new string('€', 1366))],
        })
        {
            Assert.Equal("invalid_request", Assert.Throws<ApiException>(() => Collect(wrong)).Code);
        }

        Decide(false, "collectOn", () => Check(new RunCommandRequest { Command = "true", CollectOn = "never" }));

        static CollectPlan? Collect(CollectRequest[] entries, string? on = null) =>
            Check(new RunCommandRequest { Command = "true", Collect = entries, CollectOn = on }).Collect;
    }

    [Fact]
    public void ToCommand_TruncatedCapture_EndsWithAWholeCodePoint()
    {
        byte[] cut = [0x61, 0xE2, 0x82];
        Assert.Equal("a", Row(cut, truncated: true).ToCommand().Stdout);
        Assert.Equal("a\uFFFD", Row(cut, truncated: false).ToCommand().Stdout);
        Assert.Equal("a€", Row([0x61, 0xE2, 0x82, 0xAC], truncated: true).ToCommand().Stdout);
        Assert.Equal("\0\uFFFD", Row([0x00, 0xFF], truncated: true).ToCommand().Stdout);
        Assert.Equal("", Row(null, truncated: false).ToCommand().Stdout);
        Assert.Null(Row(cut, truncated: false).ToCommand(withOutput: false).Stdout);
    }

    private static CommandRow Row(byte[]? stdout, bool truncated) => new()
    {
        Id = "cmd_1",
        OrgId = "org_1",
        ProjectId = "prj_1",
        SandboxId = "sbx_1",
        Command = "x",
        Cwd = "/workspace",
        State = "exited",
        Stdout = stdout,
        StdoutTruncated = truncated,
        CreatedAt = DateTimeOffset.UnixEpoch,
        CollectStatus = "not_requested",
    };

    private static void Decide(bool fits, string field, Action check)
    {
        if (fits)
        {
            check();
            return;
        }

        var wrong = Assert.Throws<ApiException>(check);
        Assert.Equal(("invalid_request", field), (wrong.Code, (string?)wrong.Details!["field"]));
    }

    private static CheckedCommand Check(RunCommandRequest request) =>
        CommandRules.CheckRun(request, new ArtifactBounds(TimeSpan.FromDays(30), MaxBytes: 1000));
}
