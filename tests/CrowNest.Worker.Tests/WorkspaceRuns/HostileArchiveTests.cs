using System.Text;
using CrowNest.Contracts;
using Xunit;
using static CrowNest.Contracts.WorkspaceRunFailure;

namespace CrowNest.Worker.Tests.WorkspaceRuns;

/// <summary>Archives that mean harm: each ends its run for the right reason, and touches nothing outside the workspace.</summary>
[Trait("Needs", "engine")]
public sealed class HostileArchiveTests(BackingServices backing)
{
    private static readonly byte[] Small = Encoding.UTF8.GetBytes("evil\n");

    private static readonly (string What, string Reason, Func<byte[]> Make)[] Cases =
    [
        ("not gzip", ArchiveInvalid, () => Encoding.UTF8.GetBytes("this is no archive at all, whatever it is called")),
        ("empty", ArchiveInvalid, () => []),
        ("entry without its content", ArchiveInvalid, () => new TestArchive().Header("evil", (char)48, 5000).ToGzip()),
        ("truncated gzip", ArchiveInvalid, () => TestArchive.Many(50, i => new byte[3000])[..^900]),
        ("bomb", ArchiveTooLarge, () => new TestArchive().File("evil", new byte[80 * 1024 * 1024]).ToGzip()),
        ("..", ArchiveInvalid, () => new TestArchive().File("../evil", Small).ToGzip()),
        (".. within", ArchiveInvalid, () => new TestArchive().File("a/../../evil", Small).ToGzip()),
        ("absolute", ArchiveInvalid, () => new TestArchive().File("/tmp/evil", Small).ToGzip()),
        ("link out", ArchiveInvalid, () => new TestArchive().Link("evil", "/etc/passwd").ToGzip()),
        ("relative link out", ArchiveInvalid, () => new TestArchive().Directory("d1").Link("d1/evil", "../../tmp").ToGzip()),
        ("link out through a link", ArchiveInvalid, () => new TestArchive()
            .Directory("sub").Directory("sub/deep").Link("l1", "sub/deep").Link("m1", "l1/../../..").File("m1/tmp/evil", Small).ToGzip()),
        ("hard link out", ArchiveInvalid, () => new TestArchive().HardLink("evil", "../etc/passwd").ToGzip()),
        ("hard link to nothing", ArchiveInvalid, () => new TestArchive().HardLink("evil", "nowhere").ToGzip()),
        ("character device", ArchiveInvalid, () => new TestArchive().Header("evil", '3', 0).ToGzip()),
        ("block device", ArchiveInvalid, () => new TestArchive().Header("evil", '4', 0).ToGzip()),
        ("FIFO", ArchiveInvalid, () => new TestArchive().Header("evil", '6', 0).ToGzip()),
        ("too many entries", ArchiveTooLarge, () => TestArchive.Many(6000, i => [])),
        ("long name", ArchiveInvalid, () => new TestArchive().Pax("path", new string('e', 5000)).File("evil", Small).ToGzip()),
        ("deep name", ArchiveInvalid, () => new TestArchive()
            .Pax("path", string.Concat(Enumerable.Repeat("evil/", 1000)) + "f").File("evil", Small).ToGzip()),
        ("negative PAX size", ArchiveInvalid, () => new TestArchive().Pax("size", "-1").File("evil", Small).ToGzip()),
        ("PAX size beyond the end", ArchiveInvalid, () => new TestArchive().Pax("size", "5000000").File("evil", Small).ToGzip()),
        ("PAX size beyond all", ArchiveTooLarge, () => new TestArchive().Pax("size", "9000000000000").File("evil", Small).ToGzip()),
        ("bad after much good", ArchiveInvalid, () =>
        {
            var archive = new TestArchive();
            var noise = new byte[1024 * 1024];
            new Random(1).NextBytes(noise);
            archive.File("../evil", Small);
            for (var i = 0; i < 60; i++)
            {
                archive.File($"noise{i}", noise);
            }

            return archive.ToGzip();
        }),
    ];

    [Fact]
    public async Task Archive_Hostile_FailsForItsReasonAndStaysInside()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (sandbox, _) = await node.CreateAsync();
        foreach (var (what, reason, make) in Cases)
        {
            var row = await node.RunAsync(new TestRun("echo ran") { WarmSandboxId = sandbox, Archive = make() });

            Assert.True(
                (row.Status, row.FailureReason, row.FailureClass, row.OrchestrationSucceeded) == ("failed", reason, ClassUserInput, true),
                $"{what}: {row.Status} {row.FailureReason} {row.FailureMessage}");
            Assert.Null(row.CommandId);
            Assert.NotNull(row.FailureMessage);
            await node.CheckEndAsync(row);
        }

        // Nothing of any of them lies outside, and the next run does not notice.
        Assert.Equal((0, ""), await node.ExecAsync(
            sandbox, "find / -xdev \\( -path /workspace -o -path /proc \\) -prune -o -name 'evil*' -print 2>/dev/null; true"));
        Assert.Equal((0, ""), await node.ExecAsync(sandbox, "find /tmp /home /workspace -type p -o -type c -o -type b; true"));
        var next = await node.RunAsync(new TestRun("cat fine") { WarmSandboxId = sandbox, Archive = TestArchive.Of(("fine", "fine")) });
        Assert.Equal((WorkspaceRunStatus.Succeeded, "fine"), (next.Status, (await node.RunEventsAsync(next.Id)).Output()));
    }

    [Fact]
    public async Task Archive_StrangeButFair_IsExtracted()
    {
        await using var node = await TestNode.StartAsync(backing);
        var archive = new TestArchive().File("twice", Encoding.UTF8.GetBytes("one")).File("twice", Encoding.UTF8.GetBytes("two"))
            .File("suid", Small, mode: 0b100_111_101_101).Directory("./d/").Link("d/up", "../twice").HardLink("same", "twice").ToGzip();

        var row = await node.RunAsync(new TestRun("cat twice d/up same; stat -c %a suid; stat -c %U suid; id -un") { Archive = archive });

        Assert.Equal(WorkspaceRunStatus.Succeeded, row.Status);
        var lines = (await node.RunEventsAsync(row.Id)).Output().Split('\n');
        Assert.Equal("twotwotwo755", lines[0]);
        Assert.Equal(lines[1], lines[2]);
    }

    [Fact]
    public async Task Workspace_TooSmall_FailsAsExtraction()
    {
        await using var node = await TestNode.StartAsync(backing, ("WorkspaceMb", "8"));

        var row = await node.RunAsync(new TestRun("true") { Archive = new TestArchive().File("big", new byte[20 * 1024 * 1024]).ToGzip() });

        Assert.Equal((ExtractionFailed, ClassUserInput), (row.FailureReason, row.FailureClass));
        Assert.Equal(WorkspaceRunCleanup.Succeeded, row.CleanupStatus);
        await node.CheckEndAsync(row);
    }

    [Fact]
    public async Task Archive_OfTheDefaultCeilingOfEntries_FitsTheWorkspace()
    {
        const int Ceiling = 200_000;
        await using var node = await TestNode.StartAsync(backing);

        var row = await node.RunAsync(
            new TestRun("touch one-more") { Archive = TestArchive.Many(Ceiling, _ => []), MaxEntries = Ceiling });

        Assert.True(row.FailureReason is null, $"{row.Status} {row.FailureReason} {row.FailureMessage}");
    }

    [Fact]
    public async Task Archive_DamagedInStorage_FailsAsThePlatformsAndNothingRuns()
    {
        await using var node = await TestNode.StartAsync(backing);

        var row = await node.RunAsync(new TestRun("true") { Archive = TestArchive.Of(("a", "b")), Sha256 = new string('0', 64) });

        Assert.Equal((InternalError, false, null), (row.FailureReason, row.OrchestrationSucceeded, row.CommandId));
        Assert.Contains("not what was uploaded", row.FailureMessage, StringComparison.Ordinal);
    }
}
