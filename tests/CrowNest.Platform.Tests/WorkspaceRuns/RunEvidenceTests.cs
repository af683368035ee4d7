using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using Xunit;

namespace CrowNest.Platform.Tests.WorkspaceRuns;

public sealed class RunEvidenceTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
    private static readonly EvidenceTerminalEvent Terminal = new(9, Now, WorkspaceRunStatus.Failed);

    [Fact]
    public void Build_Artifacts_NameTheFilesThatTheyWere()
    {
        var evidence = RunEvidence.Build(
            Row, End(WorkspaceRunFailure.CommandExit),
            [Artifact("art_1", "/workspace/out/report.xml", "report.xml", 5, "aa"), Artifact("art_2", null, "log", 7, "bb")], Terminal);

        Assert.Equal(
            [
                new EvidenceArtifact("art_1", "/workspace/out/report.xml", "report.xml", 5, "aa"),
                // What was never a file has only its name.
                new EvidenceArtifact("art_2", "log", "log", 7, "bb"),
            ],
            evidence.Artifacts);
        Assert.Equal(Terminal, evidence.TerminalEvent);
    }

    [Fact]
    public void Digest_AnyMemberButTheCleanup_ChangesIt()
    {
        var evidence = RunEvidence.Build(
            Row, End(WorkspaceRunFailure.CommandExit), [Artifact("art_1", "/workspace/a", "a", 5, "aa")], Terminal);
        var artifact = evidence.Artifacts[0];

        Assert.Equal(evidence.EvidenceSha256, RunEvidence.Digest(evidence));
        Assert.Equal(evidence.EvidenceSha256, RunEvidence.Digest(evidence with { CleanupStatus = WorkspaceRunCleanup.Failed }));
        WorkspaceRunEvidence[] others =
        [
            evidence with { Status = WorkspaceRunStatus.Succeeded },
            evidence with { ExitCode = 8 },
            evidence with { ProjectId = "prj_2" },
            evidence with { Command = "make  test" },
            evidence with { OrchestrationSucceeded = false },
            evidence with { OutputTruncated = true },
            evidence with { FinishedAt = Now.AddMilliseconds(1) },
            evidence with { TerminalEvent = Terminal with { Seq = 10 } },
            evidence with { Metadata = new Dictionary<string, string> { ["a"] = "c" } },
            evidence with { Artifacts = [artifact with { Path = "/workspace/b" }] },
            evidence with { Artifacts = [artifact with { Sha256 = "ab" }] },
            evidence with { Artifacts = [] },
        ];
        Assert.All(others, other => Assert.NotEqual(evidence.EvidenceSha256, RunEvidence.Digest(other)));
    }

    [Theory]
    [InlineData(WorkspaceRunFailure.CommandExit, WorkspaceRunFailure.ClassUserCommand, true)]
    [InlineData(WorkspaceRunFailure.ExtractionFailed, WorkspaceRunFailure.ClassUserInput, true)]
    [InlineData(WorkspaceRunFailure.InternalError, WorkspaceRunFailure.ClassPlatform, false)]
    public void Build_EachReason_SaysWhoseFaultItWas(string reason, string failureClass, bool orchestrated)
    {
        var evidence = RunEvidence.Build(Row, End(reason), [], Terminal);

        Assert.Equal((reason, failureClass, orchestrated), (evidence.FailureReason, evidence.FailureClass, evidence.OrchestrationSucceeded));
    }

    private static WorkspaceRunEnd End(string reason) => new(WorkspaceRunStatus.Failed, Now, reason);

    private static ArtifactRow Artifact(string id, string? path, string name, long size, string sha256) => new()
    {
        Id = id,
        OrgId = "org_1",
        ProjectId = "prj_1",
        SandboxId = "sbx_1",
        State = ArtifactStates.Stored,
        Name = name,
        ObjectKey = $"objects/{id}",
        SizeBytes = size,
        Sha256 = sha256,
        ContentType = "text/plain",
        SourcePath = path,
        Metadata = new Dictionary<string, string>(),
        CreatedAt = Now,
        RetentionExpiresAt = Now.AddDays(1),
    };

    private static readonly WorkspaceRunRow Row = new()
    {
        Id = "wsr_1",
        OrgId = "org_1",
        ProjectId = "prj_1",
        Status = WorkspaceRunStatus.Collecting,
        Command = "make test",
        TimeoutMs = 60_000,
        KeepSandbox = false,
        Metadata = new Dictionary<string, string> { ["a"] = "b" },
        Artifacts = [],
        Allowance = new RunAllowance(25, NetworkPolicy.None, 1, 1024, 1000, 1000, 1000, 10),
        TemplateId = "tpl_base",
        TemplateSlug = "base",
        TemplateVersion = "2026-11-22",
        TemplateVersionId = "tplv_base_1",
        CreatedAt = Now.AddMinutes(-1),
        StartedAt = Now.AddSeconds(-30),
        ExitCode = 7,
        ArtifactIds = ["art_1"],
        ArtifactErrors = [],
        LastSeq = 8,
        OutputSeq = 0,
        OutputBytes = 0,
        OutputTruncated = false,
    };
}
