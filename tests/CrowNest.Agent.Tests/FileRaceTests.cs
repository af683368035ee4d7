using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>Processes of the sandbox that work against a file operation while it runs. Nothing outside is ever read or written.</summary>
[Trait("Needs", "engine")]
public sealed class FileRaceTests(ContainerFixture fixture) : IClassFixture<ContainerFixture>
{
    private AgentClient Client => fixture.Agent.Client;

    private static readonly HashSet<string> s_allowed =
        ["200", "204", "400 path_outside_workspace", "404 file_not_found", "404 parent_directory_not_found", "409 file_already_exists",
            "409 conflict"];

    // The user's own folder outside of the workspace: nothing but the agent's care stands between.
    private readonly string _outside = $"/tmp/{AgentClient.NewId()}";

    // Replaces a name by rename, as fast as one processor can.
    private const string Swap =
        "perl -e 'my ($a, $b, $n) = @ARGV; while (1) { rename($a, $n); rename($n, $a); symlink($b, \"$n.l\"); rename(\"$n.l\", $n); "
        + "unlink($n) }'";

    [Fact]
    public async Task LinkAtTheEnd_SwappedWhileReading_NeverShowsTheOutside()
    {
        var d = await Client.PrepareAsync($"mkdir -p {_outside}; printf outside > {_outside}/f; printf inside > good");
        var swap = await Client.StartAsync($"cd {d}; exec {Swap} good {_outside}/f name");

        await AttackAsync(swap, async () =>
        {
            var answer = await Client.ReadFileAsync($"{d}/name");
            if (answer.Status == 200) Assert.Equal("inside", answer.Text);
            return answer;
        });
    }

    [Fact]
    public async Task LinkOnTheWay_SwappedWhileReadingAndListing_NeverShowsTheOutside()
    {
        var d = await Client.PrepareAsync($"mkdir -p {_outside} good; printf outside > {_outside}/f; printf inside > good/f; "
            + $"touch {_outside}/secret");
        var swap = await Client.StartAsync($"cd {d}; exec {Swap} good {_outside} name");

        await AttackAsync(swap, async () =>
        {
            var listing = await Client.ListAsync($"{d}/name");
            Assert.Contains(listing.Outcome, s_allowed);
            if (listing.Status == 200) Assert.DoesNotContain("secret", listing.Names);
            var search = await Client.SearchAsync(new { path = $"{Workspace}/{d}", content = "outside" });
            Assert.Equal(0, search.Json.GetProperty("matches").GetArrayLength());
            var answer = await Client.ReadFileAsync($"{d}/name/f");
            if (answer.Status == 200) Assert.Equal("inside", answer.Text);
            return answer;
        });
    }

    [Fact]
    public async Task LinkOnTheWay_SwappedWhileChanging_NeverChangesTheOutside()
    {
        var d = await Client.PrepareAsync($"mkdir -p {_outside} good; printf keep > {_outside}/keep");
        var swap = await Client.StartAsync($"cd {d}; exec {Swap} good {_outside} name");
        int n = 0;

        await AttackAsync(swap, async () =>
        {
            var path = $"{d}/name";
            foreach (var answer in new[]
                     {
                         await Client.DeleteFileAsync($"{path}/keep"), await Client.MakeDirectoryAsync($"{path}/dir{n++}"),
                         await Client.MoveAsync($"{path}/keep", $"{d}/stolen"), await Client.WriteFileAsync($"{path}/new{n}", "x"),
                     })
                Assert.Contains(answer.Outcome, s_allowed);
            return await Client.WriteFileAsync($"{path}/keep", "broken");
        });

        Assert.Equal("keep\nkeep", (await Client.RunAsync($"ls {_outside}; cat {_outside}/keep")).Out);
    }

    [Fact]
    public async Task LinkAtTheEnd_SwappedWhileWriting_NeverWritesTheOutside()
    {
        var d = await Client.PrepareAsync($"mkdir -p {_outside}; printf outside > {_outside}/w; printf inside > good");
        var swap = await Client.StartAsync($"cd {d}; exec {Swap} good {_outside}/w name");

        await AttackAsync(swap, () => Client.WriteFileAsync($"{d}/name", "written"));

        Assert.Equal("outside", (await Client.RunAsync($"cat {_outside}/w")).Out);
    }

    [Fact]
    public async Task Rename_StormInOtherDirectories_CostsNoRequest()
    {
        var d = await Client.PrepareAsync("mkdir -p a/b/c other; echo -n x > a/b/c/f; ln -s \"$PWD/a\" abs; ln -s b/../b/c a/back");
        var storm = await Client.StartAsync($"cd {d}/other; exec perl -e 'mkdir \"p\"; while (1) {{ rename(\"p\", \"q\"); "
            + $"rename(\"q\", \"p\") }}'");

        for (int i = 0; i < 300; i++)
        {
            Assert.Equal("x", (await Client.ReadFileAsync($"{d}/a/back/f")).Text);
            Assert.Equal("x", (await Client.ReadFileAsync($"{d}/abs/b/c/f")).Text);
        }

        await Client.CancelAsync(storm, "force");
        await Client.FollowAsync(storm);
    }

    [Fact]
    public async Task Lease_HeldByAnotherProcess_AnswersInsteadOfWaiting()
    {
        var d = await Client.PrepareAsync("echo x > f");
        // F_SETLEASE is 1024, F_WRLCK 1. Whoever opens the file would wait until the holder lets go.
        var holder = await Client.StartAsync(
            $"exec perl -e '$SIG{{IO}} = \"IGNORE\"; open(F, \"+<\", \"{d}/f\"); fcntl(F, 1024, 1) or die $!; $| = 1; "
            + $"print \"held\"; sleep 1000'");
        await using (var reader = await Client.ReadAsync(holder)) await reader.NextAsync();

        Assert.Equal("409 conflict", (await Client.ReadFileAsync($"{d}/f")).Outcome);

        await Client.CancelAsync(holder, "force");
        await Client.FollowAsync(holder);
        Assert.Equal("x\n", (await Client.ReadFileAsync($"{d}/f")).Text);
    }

    [Fact]
    public async Task FullWorkspace_WriteIsRefusedAndTheOldContentIntact()
    {
        var d = await Client.PrepareAsync("printf old > f; head -c 100000000 /dev/zero > ballast");

        var answer = await Client.WriteFileAsync($"{d}/f", new byte[60_000_000]);
        var fresh = await Client.WriteFileAsync($"{d}/new/g", new byte[60_000_000], ("createParents", "true"));

        Assert.Equal("429 quota_exceeded", answer.Outcome);
        Assert.Equal("429 quota_exceeded", fresh.Outcome);
        Assert.Equal("ballast\nf\nold", (await Client.RunAsync($"cd {d}; ls -A; cat f; rm ballast")).Out);
        Assert.Equal("200", (await Client.WriteFileAsync($"{d}/f", new byte[60_000_000])).Outcome);
        await Client.RunAsync($"rm -r {d}");
    }

    [Fact]
    public async Task FullMemory_WritesAreRefusedAndTheAgentLives()
    {
        // The workspace has 128 MiB, of which the sandbox's memory does not hold as many.
        await using var agent = await ContainerAgent.StartAsync(memory: "96m");
        await agent.Client.ClaimAsync();
        Assert.Equal("200", (await agent.Client.WriteFileAsync("f", "old")).Outcome);
        byte[] tar = new TarBuilder().File("big", size: "00700000000").TarWithoutEnd();

        Assert.Equal("429 quota_exceeded", (await agent.Client.WriteFileAsync("f", new byte[120 << 20])).Outcome);
        Assert.All(
            await Task.WhenAll(Enumerable.Range(0, 8).Select(i => agent.Client.WriteFileAsync($"g{i}", new byte[30 << 20]))),
            answer => Assert.Contains(answer.Outcome, new[] { "200", "429 quota_exceeded" }));
        await agent.Client.RunAsync("rm -f g*");
        Assert.Equal("429 quota_exceeded", (await agent.Client.ExtractAsync(".", TarBuilder.Gzip([.. tar,
            .. new byte[117_440_512]]))).Outcome);

        Assert.Equal(["f"], (await agent.Client.ListAsync(".")).Names);
        Assert.Equal("old", (await agent.Client.ReadFileAsync("f")).Text);
        Assert.Equal("200", (await agent.Client.WriteFileAsync("g", new byte[20 << 20])).Outcome);
    }

    [Fact]
    public async Task DeepAndWideTrees_AreArchivedAndSearchedInFlatMemory()
    {
        var d = await Client.PrepareAsync(
            "perl -e 'mkdir \"deep\"; chdir \"deep\"; for (1..1500) { mkdir \"d\"; chdir \"d\" } open(F, \">\", \"needle\")'\n"
            + "mkdir wide; perl -e 'for (1..15000) { open(F, \">\", \"wide/\" . \"x\" x 200 . $_) }'");
        await Client.PackAsync($"{d}/wide");
        int before = fixture.Agent.ResidentKiB;

        Assert.Equal("200", (await Client.PackAsync(d)).Outcome);
        Assert.Equal("200", (await Client.SearchAsync(new { path = $"{Workspace}/{d}", name = "needle" })).Outcome);

        Assert.InRange(fixture.Agent.ResidentKiB - before, -50_000, 25_000);
        await Client.RunAsync($"rm -rf {d}");
    }

    private string Workspace => fixture.Agent.Workspace;

    private async Task AttackAsync(string swap, Func<Task<FileAnswer>> request)
    {
        var outcomes = new HashSet<string>();
        // Four at a time, so that requests meet every state of the name.
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            for (int i = 0; i < 250; i++)
            {
                var answer = await request();
                Assert.Contains(answer.Outcome, s_allowed);
                lock (outcomes) outcomes.Add(answer.Outcome);
            }
        }));
        await Client.CancelAsync(swap, "force");
        await Client.FollowAsync(swap);
        Assert.NotEmpty(outcomes);
    }
}
