using System.Text;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>Archives out and in (docs/protocols.md 2.4, docs/reference/api.md 10.6), against the tar of the image.</summary>
public abstract class ArchiveTests(AgentFixture fixture)
{
    private AgentInstance Agent => fixture.Agent;

    private AgentClient Client => fixture.Agent.Client;

    [Fact]
    public async Task Pack_EveryKindOfFile_IsReadByTar()
    {
        var d = await Client.PrepareAsync(
            "mkdir -p src/sub/empty; cd src; printf 12345 > a; chmod 751 a; touch -d @1700000000 a; ln -s a rel; ln -s /etc out; "
            + "mkfifo pipe\n"
            + "head -c 1000000 /dev/urandom > sub/big; printf x > \"$(printf 'bad\\377')\"; printf y > \"$(printf 'new\\nline')\"\n"
            + "long=$(printf 'n%.0s' $(seq 200)); mkdir -p $long/$long; printf z > $long/$long/$long; "
            + "ln -s $long/$long/$long longlink; : > empty");

        var archive = await Client.PackAsync($"{d}/src");
        Assert.Equal("200", archive.Outcome);
        await Client.WriteFileAsync($"{d}/src.tar.gz", archive.Bytes);
        var outcome = await Client.RunAsync(
            $"cd {d}; mkdir out; tar xzf src.tar.gz -C out 2>&1 && rm src/pipe && "
            + "diff -r --no-dereference src out && stat -c '%a %Y' out/a");

        Assert.True(outcome.ExitCode == 0, outcome.Out + outcome.Err);
        Assert.Equal("751 1700000000\n", outcome.Out);
    }

    [Fact]
    public async Task Extract_WhatTarHasPacked_IsTheSameTree()
    {
        var d = await Client.PrepareAsync(
            "mkdir -p src/sub/empty; cd src; printf 12345 > a; chmod 751 a; touch -d @1700000000.5 a; ln -s sub/../a rel; ln a hard; "
            + "ln -s \"$PWD\" abs\n"
            + "head -c 1000000 /dev/urandom > sub/big; printf x > \"$(printf 'bad\\377')\"; printf y > \"$(printf 'new\\nline')\"\n"
            + "long=$(printf 'n%.0s' $(seq 200)); mkdir -p $long/$long; printf z > $long/$long/$long; "
            + "ln -s $long/$long/$long longlink; : > empty\n"
            + "cd ..; tar czf gnu.tgz -C src . ; tar czf pax.tgz --format=pax -C src .; "
            + "tar czf ustar.tgz --format=ustar --owner=0 --group=0 --exclude='n*' --exclude=longlink -C src .");

        foreach (var format in new[] { "gnu", "pax", "ustar" })
        {
            var archive = (await Client.ReadFileAsync($"{d}/{format}.tgz")).Bytes;
            await Client.MakeDirectoryAsync($"{d}/{format}");
            var answer = await Client.ExtractAsync($"{d}/{format}", archive);
            Assert.True(answer.Status == 200, answer.Text);
        }

        var outcome = await Client.RunAsync(
            $"cd {d}; diff -r --no-dereference src gnu && diff -r --no-dereference src pax && "
            + "stat -c '%a %Y %u:%g' */a && test gnu/a -ef gnu/hard");
        Assert.True(outcome.ExitCode == 0, outcome.Out + outcome.Err);
        Assert.Equal(string.Concat(Enumerable.Repeat($"751 1700000000 {Agent.Uid}:{Agent.Uid}\n", 4)), outcome.Out);
    }

    [Fact]
    public async Task Extract_OwnArchive_IsTheSameTreeAndCounted()
    {
        var d = await Client.PrepareAsync("mkdir -p src/sub to; printf 12345 > src/a; head -c 3000000 /dev/zero > src/sub/zeros; "
            + "ln -s ../a src/sub/l");

        var answer = await Client.ExtractAsync($"{d}/to", (await Client.PackAsync($"{d}/src")).Bytes);

        Assert.Equal(4, answer.Json.GetProperty("entries").GetInt64());
        Assert.Equal(3_000_005, answer.Json.GetProperty("bytes").GetInt64());
        Assert.Equal(0, (await Client.RunAsync($"diff -r --no-dereference {d}/src {d}/to")).ExitCode);
    }

    [Fact]
    public async Task Pack_WhatCannotBe_SaysWhy()
    {
        var d = await Client.PrepareAsync("touch f; ln -s / out; mkdir -p shut/x; chmod 0 shut/x; mkdir -p secret; touch secret/s; "
            + "chmod 0 secret/s");

        Assert.Equal("404 file_not_found", (await Client.PackAsync($"{d}/none")).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.PackAsync($"{d}/f")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.PackAsync($"{d}/out")).Outcome);
        Assert.Equal("403 forbidden", (await Client.PackAsync($"{d}/shut")).Outcome);
        Assert.Equal("403 forbidden", (await Client.PackAsync($"{d}/secret")).Outcome);
        await Client.RunAsync($"chmod 700 {d}/shut/x");
    }

    [Fact]
    public async Task Pack_FailureAfterTheFirstBytes_IsNoCompleteBody()
    {
        // Big enough that the answer has begun before the directory that cannot be read is come to, whichever order they come in.
        var d = await Client.PrepareAsync("mkdir -p a/x/y; head -c 8000000 /dev/urandom > a/big");
        await using var download = await Download.OpenAsync(Agent.Socket, $"{d}/a", "archive");
        await download.ReadAsync(1000);
        Assert.Equal(0, (await Client.RunAsync($"chmod 0 {d}/a/x; chmod 0 {d}/a/x/y 2>/dev/null; exit 0")).ExitCode);

        var (length, isComplete) = await download.ReadToEndAsync();

        // The file system's order decides which of the two comes first.
        if (isComplete) Assert.True(length > 8_000_000);
        else Assert.True(length >= 1000);
        await Client.RunAsync($"chmod 700 {d}/a/x");
    }

    [Fact]
    public async Task Extract_OverWhatIsThere_TheLastOfANameWinsAndLinksAreNotWrittenThrough()
    {
        var d = await Client.PrepareAsync("mkdir to; printf keep > target; printf old > to/f; ln -s ../target to/l; "
            + "ln ../$(basename $PWD)/target to/h; mkdir to/dir real; ln -s ../real to/linked");
        var archive = new TarBuilder()
            .File("f", "one").File("f", "two").File("l", "three").File("h", "four").Directory("dir/").File("dir/x", "five")
            .Directory("linked/").File("linked/y", "six").File("d", "file").Directory("d/").Link("dir/x", "../f").Gzip();

        var answer = await Client.ExtractAsync($"{d}/to", archive);

        Assert.True(answer.Status == 200, answer.Text);
        var state = await Client.RunAsync($"cd {d}; cat target; cd to; cat f l h ../real/y; readlink dir/x linked; "
            + $"test -L l || test -d d && echo ok");
        Assert.Equal("keeptwothreefoursix../f\n../real\nok\n", state.Out);
    }

    [Fact]
    public async Task Extract_LinksThatNeedLaterEntries_AreMadeAtTheEnd()
    {
        var d = await Client.PrepareAsync("mkdir to");
        var archive = new TarBuilder()
            .Link("early", "sub/../f").Link("link", "sub").Link("behind", "link/../f").Link("twice", "sub/../f").Directory("sub/")
                .File("f", "x")
            .File("twice", "y").Gzip();

        var answer = await Client.ExtractAsync($"{d}/to", archive);

        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("xxy", (await Client.RunAsync($"cd {d}/to; "
            + $"test -L early && test -L behind && test ! -L twice && cat early behind twice")).Out);
    }

    [Fact]
    public async Task Extract_ModesOfTheArchive_LoseTheirSpecialBitsAndKeepTheRest()
    {
        var d = await Client.PrepareAsync("mkdir to");
        var archive = new TarBuilder()
            .File("suid", "x", 0x9ED).File("sgid", "x", 0x5ED).File("sticky", "x", 0x3FF).Directory("ro/", 0x16D).File("ro/x", "x", 0x124)
                .Gzip();

        Assert.Equal("200", (await Client.ExtractAsync($"{d}/to", archive)).Outcome);

        var modes = await Client.RunAsync($"cd {d}/to; stat -c '%n %a' suid sgid sticky ro ro/x");
        Assert.Equal("suid 755\nsgid 755\nsticky 777\nro 755\nro/x 444\n", modes.Out);
    }

    [Fact]
    public async Task Extract_SeveralGzipMembersAndAGlobalComment_IsAccepted()
    {
        var d = await Client.PrepareAsync("mkdir to");
        byte[] tar = new TarBuilder().Pax(TarBuilder.Record("comment", "0123"), 'g').File("a", "1").File("b/c", "2").Tar();

        byte[] archive = [.. TarBuilder.Gzip(tar[..700]), .. TarBuilder.Gzip(tar[700..]), .. TarBuilder.Gzip(new byte[512])];

        Assert.Equal("200", (await Client.ExtractAsync($"{d}/to", archive)).Outcome);
        Assert.Equal("12", (await Client.RunAsync($"cat {d}/to/a {d}/to/b/c")).Out);
    }

    [Fact]
    public async Task Extract_PaxRecords_NameSizeAndTimeAreUsed()
    {
        var d = await Client.PrepareAsync("mkdir to");
        var name = new string('n', 120) + "/" + new string('m', 130);
        var archive = new TarBuilder()
            .Pax(TarBuilder.Record("path", name) + TarBuilder.Record("mtime", "1700000000.123456789") + TarBuilder.Record("size", "3"))
            .Entry("short", '0', Encoding.ASCII.GetBytes("abc"), size: "00000000000").File("next", "x").Gzip();

        var answer = await Client.ExtractAsync($"{d}/to", archive);

        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("abc\n1700000000.123456789\n1700417536\n", (await Client.RunAsync(
            $"cd {d}/to; cat {name}; echo; date -r {name} +%s.%N; date -r next +%s")).Out);
    }

    [Fact]
    public async Task Extract_IntoWhatIsNoDirectory_SaysWhy()
    {
        var d = await Client.PrepareAsync("touch f; ln -s /tmp out");
        byte[] archive = new TarBuilder().File("a").Gzip();

        Assert.Equal("404 file_not_found", (await Client.ExtractAsync($"{d}/none", archive)).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.ExtractAsync($"{d}/f", archive)).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.ExtractAsync($"{d}/out", archive)).Outcome);
    }
}

public sealed class HostArchiveTests(HostFixture fixture) : ArchiveTests(fixture), IClassFixture<HostFixture>;

[Trait("Needs", "engine")]
public sealed class ContainerArchiveTests(ContainerFixture fixture) : ArchiveTests(fixture), IClassFixture<ContainerFixture>;
