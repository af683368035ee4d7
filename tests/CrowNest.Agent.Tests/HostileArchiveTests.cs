using System.Security.Cryptography;
using System.Text;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>Archives made to do harm: each ends with the right code, writes nothing outside, and the next one works.</summary>
[Trait("Needs", "engine")]
public sealed class HostileArchiveTests(ContainerFixture fixture) : IClassFixture<ContainerFixture>
{
    private AgentClient Client => fixture.Agent.Client;

    public static TheoryData<string> Invalid => new(s_invalid.Keys);

    private static readonly Dictionary<string, Func<byte[]>> s_invalid = new()
    {
        ["empty body"] = () => [],
        ["not gzip"] = () => Encoding.ASCII.GetBytes(new string('x', 5000)),
        ["tar that is not packed"] = () => new TarBuilder().File("a", "x").Tar(),
        ["gzip of nothing"] = () => TarBuilder.Gzip([]),
        ["gzip of text"] = () => TarBuilder.Gzip(Encoding.ASCII.GetBytes(new string('x', 5000))),
        ["truncated gzip"] = () => Noise().Gzip()[..60_000],
        ["gzip without its checksum"] = () => new TarBuilder().File("a", "x").Gzip()[..^4],
        ["gzip with a wrong checksum"] = () => Change(new TarBuilder().File("a", "x").Gzip(), ^8),
        ["gzip with a wrong length"] = () => Change(new TarBuilder().File("a", "x").Gzip(), ^1),
        ["damaged gzip"] = () => Change(Noise().Gzip(), 50_000),
        ["garbage behind the gzip"] = () => [.. new TarBuilder().File("a", "x").Gzip(), 1, 2, 3],
        ["zeros behind the gzip"] = () => [.. new TarBuilder().File("a", "x").Gzip(), .. new byte[100]],
        ["a cut member behind the gzip"] = () => [.. new TarBuilder().File("a", "x").Gzip(), .. TarBuilder.Gzip([0])[..5]],
        ["truncated in a header"] = () => TarBuilder.Gzip(new TarBuilder().File("a", "x").TarWithoutEnd()[..300]),
        ["truncated in content"] = () => TarBuilder.Gzip(new TarBuilder().File("a", new string('x', 2000)).TarWithoutEnd()[..1500]),
        ["truncated before the end blocks"] = () => TarBuilder.Gzip(new TarBuilder().File("a", "x").TarWithoutEnd()),
        ["something behind the end"] = () => TarBuilder.Gzip([.. new TarBuilder().File("a").Tar(), .. new TarBuilder().File("b").Tar()]),
        ["damaged header"] = () => new TarBuilder().Entry("a", '0', damage: true).Gzip(),
        ["size is no number"] = () => new TarBuilder().File("a", "x", size: "0000x000001").Gzip(),
        ["size is below zero"] = () => new TarBuilder()
            .File("a", "x", size: "\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff").Gzip(),
        [".. in a name"] = () => new TarBuilder().File("../escaped", "x").Gzip(),
        [".. within a name"] = () => new TarBuilder().Directory("d/").File("d/../../escaped", "x").Gzip(),
        [".. as a directory"] = () => new TarBuilder().Directory("..").Gzip(),
        ["absolute name"] = () => new TarBuilder().File("/tmp/escaped", "x").Gzip(),
        ["absolute name into the workspace"] = () => new TarBuilder().File("/workspace/escaped", "x").Gzip(),
        ["absolute PAX name"] = () => new TarBuilder().Pax(TarBuilder.Record("path", "/tmp/escaped")).File("a", "x").Gzip(),
        ["absolute GNU name"] = () => new TarBuilder().Entry("././@LongLink", 'L', Encoding.ASCII.GetBytes("/tmp/escaped\0"))
            .File("a", "x").Gzip(),
        ["no name"] = () => new TarBuilder().File("", "x").Gzip(),
        ["a file named ."] = () => new TarBuilder().File("./.", "x").Gzip(),
        ["absolute link"] = () => new TarBuilder().Link("l", "/etc/passwd").Gzip(),
        ["link upwards"] = () => new TarBuilder().Link("l", "../../../etc/passwd").Gzip(),
        ["link to the root's parent"] = () => new TarBuilder().Link("l", "/workspace/..").Gzip(),
        ["link with no target"] = () => new TarBuilder().Link("l", "").Gzip(),
        ["write through a link to outside"] = () => new TarBuilder().Link("l", "/tmp").File("l/escaped", "x").Gzip(),
        ["link through an earlier link"] = () => new TarBuilder().Directory("a/").Directory("a/b/").Link("x", "a/b")
            .Link("y", "x/../../../../../tmp").Gzip(),
        [".. behind a link"] = () => new TarBuilder().Link("x", ".").Link("y", "x/../../../z").Gzip(),
        [".. behind a link that is replaced"] = () =>
            new TarBuilder().Directory("a/").Directory("a/b/").Link("x", "a/b").Link("y", "x/../../../z").Link("x", ".").Gzip(),
        [".. behind what is missing"] = () => new TarBuilder().Link("y", "later/../../../tmp").Gzip(),
        ["two links that meet outside"] = () =>
            new TarBuilder().Directory("a/").Directory("a/b/").Link("a/b/c", "../later/../../../../z").Link("a/later", ".").Gzip(),
        // Each leads inside when it is made; the second takes the place of what the first leads through.
        ["link that a waiting one leads out"] = () => new TarBuilder().Directory("a/").Directory("a/b/").Link("q", ".").Link("x", "a/b")
            .Link("y", "x/../../../z").Link("x", "q/../to").Gzip(),
        ["absolute link beside the workspace"] = () => new TarBuilder().Link("l", "/workspacex/file").Gzip(),
        ["link through one that leads out"] = () => new TarBuilder().Link("y", "planted/passwd").Gzip(),
        ["write through one that leads out"] = () => new TarBuilder().File("planted/escaped", "x").Gzip(),
        ["directory through one that leads out"] = () => new TarBuilder().Directory("planted/escaped/").Gzip(),
        ["hard link to outside"] = () => new TarBuilder().HardLink("h", "/etc/passwd").Gzip(),
        ["hard link upwards"] = () => new TarBuilder().HardLink("h", "../../etc/passwd").Gzip(),
        ["hard link through one that leads out"] = () => new TarBuilder().HardLink("h", "planted/passwd").Gzip(),
        ["hard link to a link"] = () => new TarBuilder().HardLink("h", "planted").Gzip(),
        ["hard link to a directory"] = () => new TarBuilder().Directory("d/").HardLink("h", "d").Gzip(),
        ["hard link to nothing"] = () => new TarBuilder().HardLink("h", "none").Gzip(),
        ["character device"] = () => new TarBuilder().Entry("dev", '3').Gzip(),
        ["block device"] = () => new TarBuilder().Entry("dev", '4').Gzip(),
        ["FIFO"] = () => new TarBuilder().Entry("pipe", '6').Gzip(),
        ["GNU sparse file"] = () => new TarBuilder().Entry("s", 'S').Gzip(),
        ["PAX sparse file"] = () => new TarBuilder().Pax(TarBuilder.Record("GNU.sparse.major", "1")).File("s", "x").Gzip(),
        ["unknown kind"] = () => new TarBuilder().Entry("a", 'Z').Gzip(),
        ["file over a directory"] = () => new TarBuilder().Directory("d/").File("d", "x").Gzip(),
        ["link over a directory"] = () => new TarBuilder().Directory("d/").Link("d", "x").Gzip(),
        ["file below a file"] = () => new TarBuilder().File("f", "x").File("f/g", "x").Gzip(),
        ["name of 5,000 bytes in PAX"] = () => new TarBuilder().Pax(TarBuilder.Record("path", new string('n', 5000))).File("a", "x").Gzip(),
        ["path of 5,000 bytes in PAX"] = () =>
            new TarBuilder().Pax(TarBuilder.Record("path", string.Concat(Enumerable.Repeat("abcd/", 1000)))).File("a", "x").Gzip(),
        ["name of 5,000 bytes in GNU"] = () =>
            new TarBuilder().Entry("././@LongLink", 'L', Encoding.ASCII.GetBytes(new string('n', 5000) + "\0")).File("a", "x").Gzip(),
        ["component of 300 bytes"] = () => new TarBuilder().Pax(TarBuilder.Record("path", new string('n', 300))).File("a", "x").Gzip(),
        ["link target of 5,000 bytes"] = () =>
            new TarBuilder().Pax(TarBuilder.Record("linkpath", string.Concat(Enumerable.Repeat("abcd/", 1000)))).Link("a", "x").Gzip(),
        ["extended header of 8 GB"] = () => new TarBuilder().Entry("PaxHeaders/x", 'x', size: "77777777777").Gzip(),
        ["extended header of 2 MiB"] = () => new TarBuilder().Pax(TarBuilder.Record("comment", new string('c', 2 << 20))).File("a").Gzip(),
        ["PAX size above the content"] = () => new TarBuilder().Pax(TarBuilder.Record("size", "1000000")).File("a", "x").Gzip(),
        ["PAX size below the content"] = () => new TarBuilder().Pax(TarBuilder.Record("size", "1")).File("a", new string('x', 2000)).Gzip(),
        ["PAX size below zero"] = () => new TarBuilder().Pax(TarBuilder.Record("size", "-1")).File("a", "x").Gzip(),
        ["PAX size is no number"] = () => new TarBuilder().Pax(TarBuilder.Record("size", "0x10")).File("a", "x").Gzip(),
        ["PAX size of 30 digits"] = () => new TarBuilder().Pax(TarBuilder.Record("size", new string('9', 30))).File("a", "x").Gzip(),
        ["PAX record that lies about its length"] = () => new TarBuilder().Pax("99 path=b\n").File("a", "x").Gzip(),
        ["PAX record of length 0"] = () => new TarBuilder().Pax("0 path=b\n").File("a", "x").Gzip(),
        ["PAX record with a huge length"] = () => new TarBuilder().Pax("99999999999999999999 path=b\n").File("a", "x").Gzip(),
        ["PAX record without ="] = () => new TarBuilder().Pax("8 pathb\n").File("a", "x").Gzip(),
        ["PAX name with NUL"] = () => new TarBuilder().Pax(TarBuilder.Record("path", "a\0b")).File("a", "x").Gzip(),
        ["PAX time is no time"] = () => new TarBuilder().Pax(TarBuilder.Record("mtime", "yesterday")).File("a", "x").Gzip(),
        ["global name"] = () => new TarBuilder().Pax(TarBuilder.Record("path", "x"), 'g').File("a", "x").Gzip(),
        ["ends after an extended header"] = () => new TarBuilder().Pax(TarBuilder.Record("path", "b")).Gzip(),
    };

    [Theory]
    [MemberData(nameof(Invalid))]
    public async Task Extract_Invalid_IsRefusedAndWritesNothingOutside(string what)
    {
        var d = await Client.PrepareAsync("mkdir to; ln -s /tmp to/planted");

        var answer = await Client.ExtractAsync($"{d}/to", s_invalid[what]());

        Assert.Equal("400 archive_invalid", answer.Outcome);
        Assert.Equal("", (await Client.RunAsync($"find / -xdev -name 'escaped*' 2>/dev/null; find /tmp {d} -name 'escaped*'")).Out);
        Assert.Equal("200", (await Client.ExtractAsync($"{d}/to", new TarBuilder().File("fine", "x").Gzip())).Outcome);
        Assert.Equal(0, (await Client.RunAsync($"find {d} -type l ! -name planted -lname '/*' | grep . && exit 1; rm -r {d}")).ExitCode);
    }

    [Fact]
    public async Task Extract_PartialFile_IsNotLeft()
    {
        var d = await Client.PrepareAsync("mkdir to");
        byte[] tar = new TarBuilder().File("whole", "x").File("part", new string('x', 900_000)).TarWithoutEnd();

        Assert.Equal("400 archive_invalid", (await Client.ExtractAsync($"{d}/to", TarBuilder.Gzip(tar[..500_000]))).Outcome);

        Assert.Equal(["whole"], (await Client.ListAsync($"{d}/to")).Names);
    }

    [Fact]
    public async Task Extract_Ceilings_AreKept()
    {
        var d = await Client.PrepareAsync("mkdir to");
        byte[] archive = new TarBuilder().File("a", new string('x', 1000)).File("b", new string('x', 1000)).Gzip();

        Assert.Equal("200", (await Client.ExtractAsync($"{d}/to", archive, ("maxBytes", 3000), ("maxEntries", 2))).Outcome);
        Assert.Equal("413 archive_too_large", (await Client.ExtractAsync($"{d}/to", archive, ("maxBytes", 1999))).Outcome);
        Assert.Equal("413 archive_too_large", (await Client.ExtractAsync($"{d}/to", archive, ("maxEntries", 1))).Outcome);
        // It says so itself: nothing has to be unpacked to know.
        Assert.Equal("413 archive_too_large", (await Client.ExtractAsync(
            $"{d}/to", new TarBuilder().Pax(TarBuilder.Record("size", "9000000000000000000")).File("a", "x").Gzip())).Outcome);
        Assert.Equal("413 archive_too_large", (await Client.ExtractAsync(
            $"{d}/to", new TarBuilder().File("a", "x", size: "77777777777").Gzip())).Outcome);
    }

    [Theory]
    [InlineData("one file")]
    [InlineData("padding")]
    [InlineData("global headers")]
    public async Task Extract_GzipBomb_EndsAtTheCeilingInFlatMemory(string kind)
    {
        var d = await Client.PrepareAsync("mkdir to");
        byte[] bomb = kind switch
        {
            "one file" => TarBuilder.Gzip([.. new TarBuilder().File("a", size: "7777777777").TarWithoutEnd(), .. new byte[60_000_000]]),
            "padding" => TarBuilder.Gzip([.. new TarBuilder().File("a").Tar(), .. new byte[60_000_000]]),
            _ => TarBuilder.Gzip(Enumerable.Repeat(
                new TarBuilder().Pax(TarBuilder.Record("comment", new string('c', 1_000_000)), 'g').TarWithoutEnd(), 60)
                    .SelectMany(b => b).ToArray()),
        };
        int before = fixture.Agent.ResidentKiB;

        var answer = await Client.ExtractAsync($"{d}/to", bomb, ("maxBytes", 20_000_000));

        Assert.Equal("413 archive_too_large", answer.Outcome);
        Assert.InRange(fixture.Agent.ResidentKiB - before, -50_000, 8_000);
        await Client.RunAsync($"rm -r {d}");
    }

    [Fact]
    public async Task Extract_ThreeHundredThousandEntries_EndAtTheCeiling()
    {
        var d = await Client.PrepareAsync("mkdir to");
        byte[] one = new TarBuilder().Directory("d/").TarWithoutEnd();
        byte[] tar = new byte[one.Length * 300_000];
        for (int i = 0; i < 300_000; i++) one.CopyTo(tar, i * one.Length);

        Assert.Equal("413 archive_too_large", (await Client.ExtractAsync($"{d}/to", TarBuilder.Gzip(tar))).Outcome);
    }

    [Fact]
    public async Task Extract_FullWorkspace_SaysSoAndTheNextOneWorks()
    {
        var d = await Client.PrepareAsync("mkdir to");
        byte[] content = new byte[200 << 20];
        byte[] header = new TarBuilder().File("big", size: "01440000000").TarWithoutEnd();

        var answer = await Client.ExtractAsync($"{d}/to", TarBuilder.Gzip([.. header, .. content, .. new byte[1024]]));

        Assert.Equal("429 quota_exceeded", answer.Outcome);
        Assert.Equal("", (await Client.RunAsync($"ls {d}/to")).Out);
        Assert.Equal("200", (await Client.ExtractAsync($"{d}/to", new TarBuilder().File("fine", "x").Gzip())).Outcome);
    }

    [Fact]
    public async Task Extract_WhileLinksAreSwapped_NeverWritesOutside()
    {
        var d = await Client.PrepareAsync("mkdir to to/dir other");
        var swap = await Client.StartAsync(
            $"cd {d}/to; mkdir -p /tmp/escape; while :; do ln -sfn /tmp/escape sym; mv -T dir real; mv -T sym dir; rm dir; "
            + $"mv -T real dir; done");
        var tar = new TarBuilder();
        for (int i = 0; i < 200; i++) tar.File($"dir/f{i}", "x");
        byte[] archive = tar.Gzip();

        var codes = new HashSet<string>();
        for (int i = 0; i < 40; i++) codes.Add((await Client.ExtractAsync($"{d}/to", archive)).Outcome);

        await Client.CancelAsync(swap, "force");
        await Client.FollowAsync(swap);
        Assert.Equal("", (await Client.RunAsync("ls -A /tmp/escape")).Out);
        Assert.Subset(new HashSet<string> { "200", "400 archive_invalid", "404 file_not_found", "409 conflict" }, codes);
    }

    private static TarBuilder Noise() => new TarBuilder().File("noise", Encoding.Latin1.GetString(RandomNumberGenerator.GetBytes(100_000)));

    private static byte[] Change(byte[] bytes, Index at)
    {
        bytes[at] ^= 0x55;
        return bytes;
    }
}
