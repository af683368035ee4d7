using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>Reading and writing content (docs/protocols.md 2.4).</summary>
public abstract class FileContentTests(AgentFixture fixture)
{
    private AgentInstance Agent => fixture.Agent;

    private AgentClient Client => fixture.Agent.Client;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(131_072)]
    [InlineData(5_000_001)]
    public async Task Write_ThenRead_IsTheSameBytesWithTheirDigest(int size)
    {
        var d = await Client.PrepareAsync("");
        byte[] bytes = RandomNumberGenerator.GetBytes(size);
        var digest = Convert.ToHexStringLower(SHA256.HashData(bytes));

        var written = await Client.WriteFileAsync($"{d}/\u00e4 b\n", bytes, ("sha256", digest.ToUpperInvariant()));
        var read = await Client.ReadFileAsync($"{d}/\u00e4 b\n", maxBytes: size);

        Assert.Equal(digest, written.Json.GetProperty("sha256").GetString());
        Assert.Equal(size, written.Json.GetProperty("sizeBytes").GetInt64());
        Assert.Equal(bytes, read.Bytes);
        Assert.Equal($"{size}", read.Header("X-File-Size"));
        Assert.Equal($"{Agent.Workspace}/{d}/\u00e4 b\n", Uri.UnescapeDataString(read.Header("X-File-Path")));
        Assert.Equal(written.Json.GetProperty("modifiedAt").GetInt64(), long.Parse(read.Header("X-File-Modified")));
    }

    [Fact]
    public async Task Write_NewAndExisting_BelongsToTheUserAndKeepsTheMode()
    {
        var d = await Client.PrepareAsync("echo old > tool; chmod 750 tool; echo old > secret; chmod 4600 secret");

        await Client.WriteFileAsync($"{d}/new", "x");
        await Client.WriteFileAsync($"{d}/p/q/new", "x", ("createParents", "true"));
        await Client.WriteFileAsync($"{d}/tool", "x");
        await Client.WriteFileAsync($"{d}/secret", "x");

        var outcome = await Client.RunAsync($"cd {d}; stat -c '%n %a %u:%g' new p/q p/q/new tool secret; ls -A . p/q");
        var owner = $"{Agent.Uid}:{Agent.Uid}";
        Assert.StartsWith($"new 644 {owner}\np/q 755 {owner}\np/q/new 644 {owner}\ntool 750 {owner}\nsecret 600 {owner}\n", outcome.Out);
        Assert.DoesNotContain("crownest", outcome.Out);
    }

    [Fact]
    public async Task Write_ThroughALinkInside_ChangesItsTarget()
    {
        var d = await Client.PrepareAsync(
            "echo old > target; ln -s target rel; ln -s \"$PWD/target\" abs; ln -s abs twice; ln -s made dangling; ln -s sub/made nowhere");

        Assert.Equal("200", (await Client.WriteFileAsync($"{d}/rel", "1")).Outcome);
        Assert.Equal("1", (await Client.RunAsync($"cat {d}/target; test -L {d}/rel")).Out);
        Assert.Equal("200", (await Client.WriteFileAsync($"{d}/twice", "2")).Outcome);
        Assert.Equal("2", (await Client.RunAsync($"cat {d}/target; test -L {d}/twice && test -L {d}/abs")).Out);
        Assert.Equal("200", (await Client.WriteFileAsync($"{d}/dangling", "3")).Outcome);
        Assert.Equal("3", (await Client.RunAsync($"cat {d}/made; test -L {d}/dangling")).Out);
        Assert.Equal("404 parent_directory_not_found", (await Client.WriteFileAsync($"{d}/nowhere", "4")).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.WriteFileAsync($"{d}/dangling", "5", ("overwrite", "false"))).Outcome);
        Assert.Equal("2", (await Client.ReadFileAsync($"{d}/twice")).Text);
    }

    [Fact]
    public async Task Write_WhatCannotBe_SaysWhyAndChangesNothing()
    {
        var d = await Client.PrepareAsync(
            "mkdir dir shut; echo -n old > file; echo -n old > ro; chmod 444 ro; chmod 555 shut; ln -s /tmp/out out; "
            + "ln -s dir todir; mkfifo pipe");
        var path = $"{d}/file";

        Assert.Equal("400 path_is_directory", (await Client.WriteFileAsync($"{d}/dir", "x")).Outcome);
        Assert.Equal("400 path_is_directory", (await Client.WriteFileAsync($"{d}/todir", "x")).Outcome);
        Assert.Equal("400 path_is_directory", (await Client.WriteFileAsync(Agent.Workspace, "x")).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.WriteFileAsync($"{path}/x", "x")).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.WriteFileAsync($"{path}/x", "x", ("createParents", "true"))).Outcome);
        Assert.Equal("404 parent_directory_not_found", (await Client.WriteFileAsync($"{d}/none/x", "x")).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.WriteFileAsync(path, "x", ("overwrite", "false"))).Outcome);
        Assert.Equal("403 forbidden", (await Client.WriteFileAsync($"{d}/ro", "x")).Outcome);
        Assert.Equal("403 forbidden", (await Client.WriteFileAsync($"{d}/shut/x", "x")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.WriteFileAsync($"{d}/out", "x")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.WriteFileAsync($"{d}/pipe", "x")).Outcome);
        Assert.Equal("413 file_too_large", (await Client.WriteFileAsync(path, "12345", ("maxBytes", 4))).Outcome);
        Assert.Equal("400 upload_checksum_mismatch", (await Client.WriteFileAsync(path, "x", ("sha256", new string('0', 64)))).Outcome);
        Assert.Equal("400 invalid_request", (await Client.WriteFileAsync(path, "x", ("sha256", "abc"))).Outcome);
        Assert.Equal("400 invalid_request", (await Client.WriteFileAsync(path, "x", ("overwrite", "1"))).Outcome);
        var after = await Client.RunAsync($"cd {d}; cat file ro; ls -A");
        Assert.Equal("oldolddir\nfile\nout\npipe\nro\nshut\ntodir\n", after.Out);
    }

    [Fact]
    public async Task Write_StreamWithoutLength_IsCutOffAtTheLimit()
    {
        var d = await Client.PrepareAsync("");
        var path = $"{d}/x";

        var refused = await Client.WriteFileAsync(path, new StreamContent(new Endless(3_000_000)), ("maxBytes", 2_000_000));
        var taken = await Client.WriteFileAsync(path, new StreamContent(new Endless(2_000_000)), ("maxBytes", 2_000_000));

        Assert.Equal("413 file_too_large", refused.Outcome);
        Assert.Equal("200", taken.Outcome);
        Assert.Equal(["x"], (await Client.ListAsync(d)).Names);
    }

    [Theory]
    [InlineData("Content-Length: 1000000")]
    [InlineData("Transfer-Encoding: chunked")]
    public async Task Write_ClientGoesAway_LeavesNothing(string framing)
    {
        var d = await Client.PrepareAsync("echo -n old > file");
        foreach (var path in new[] { "file", "new", "a/b/new" })
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Agent.Socket));
            var head = $"PUT /files/content?path={d}/{path}&createParents=true HTTP/1.1\r\nHost: agent\r\n{framing}\r\n\r\n";
            await socket.SendAsync(Encoding.ASCII.GetBytes(head + (framing[0] == 'T' ? "30D40\r\n" : "") + new string('x', 200_000)));
            await Eventually.HoldsAsync(() => OpenFiles() > 0, "the file is being written");
        }

        await Eventually.HoldsAsync(() => OpenFiles() == 0, "the agent has noticed");
        Assert.Equal("file\nold", (await Client.RunAsync($"cd {d}; ls -A; cat file")).Out);
    }

    [Fact]
    public async Task Write_TwentyAtOnceToOnePath_LeaveOneWholeContent()
    {
        var d = await Client.PrepareAsync("");
        var bodies = Enumerable.Range(0, 20).Select(i => Enumerable.Repeat((byte)i, 700_000 + i).ToArray()).ToArray();

        var answers = await Task.WhenAll(bodies.Select(b => Client.WriteFileAsync($"{d}/one", b)));

        Assert.All(answers, a => Assert.Equal("200", a.Outcome));
        var content = (await Client.ReadFileAsync($"{d}/one")).Bytes;
        Assert.Equal(bodies[content[0]], content);
        Assert.Equal(["one"], (await Client.ListAsync(d)).Names);
    }

    [Fact]
    public async Task Write_TwentyAtOnceThatMustNotOverwrite_OneWins()
    {
        var d = await Client.PrepareAsync("");

        var answers = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => Client.WriteFileAsync($"{d}/one", $"{i}", ("overwrite", "false"))));

        Assert.Equal(1, answers.Count(a => a.Status == 200));
        Assert.Equal(19, answers.Count(a => a.Outcome == "409 file_already_exists"));
        Assert.Equal(["one"], (await Client.ListAsync(d)).Names);
    }

    [Fact]
    public async Task Read_WhatIsNoRegularFile_IsRefusedAtOnceAndNotOpened()
    {
        var d = await Client.PrepareAsync(
            "mkdir dir; mkfifo pipe; perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local=>\"socket\", Listen=>1)'; "
            + "ln -s /dev/zero zero; ln -s /proc/self/fd/0 fd; echo x > shut; chmod 0 shut");
        // A writer that waits for a reader would notice an open.
        var writer = await Client.StartAsync($"echo hello > {d}/pipe; echo done");

        Assert.Equal("400 path_is_directory", (await Client.ReadFileAsync($"{d}/dir")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.ReadFileAsync($"{d}/pipe")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.ReadFileAsync($"{d}/socket")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.ReadFileAsync($"{d}/zero")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.ReadFileAsync($"{d}/fd")).Outcome);
        Assert.Equal("403 forbidden", (await Client.ReadFileAsync($"{d}/shut")).Outcome);
        Assert.Equal("404 file_not_found", (await Client.ReadFileAsync($"{d}/none")).Outcome);
        Assert.Equal("404 file_not_found", (await Client.ReadFileAsync($"{d}/shut/x")).Outcome);

        Assert.Equal("hello\n", (await Client.RunAsync($"cat {d}/pipe")).Out);
        Assert.Equal("done\n", (await Client.FollowAsync(writer)).Out);
    }

    [Fact]
    public async Task Read_LargerThanAskedFor_IsTooLarge()
    {
        var d = await Client.PrepareAsync("head -c 1000 /dev/zero > f");

        Assert.Equal("413 file_too_large", (await Client.ReadFileAsync($"{d}/f", maxBytes: 999)).Outcome);
        Assert.Equal("200", (await Client.ReadFileAsync($"{d}/f", maxBytes: 1000)).Outcome);
    }

    [Fact]
    public async Task Read_WhileTheFileChanges_GivesAtMostItsSizeAtTheStart()
    {
        var d = await Client.PrepareAsync("head -c 20000000 /dev/zero > grows; cp grows shrinks; cp grows vanishes");

        foreach (var (file, change) in new[]
                 {
                     ("grows", "head -c 20000000 /dev/zero >> grows"), ("shrinks", "truncate -s 1000000 shrinks"),
                     ("vanishes", "rm vanishes"),
                 })
        {
            await using var download = await Download.OpenAsync(Agent.Socket, $"{d}/{file}");
            await download.ReadAsync(100_000);
            Assert.Equal(0, (await Client.RunAsync($"cd {d}; {change}")).ExitCode);

            var (length, isComplete) = await download.ReadToEndAsync();

            Assert.True(isComplete);
            if (file == "shrinks") Assert.InRange(length, 1_000_000, 19_999_999);
            else Assert.Equal(20_000_000, length);
        }
    }

    [Fact]
    public async Task Read_ClientStopsReading_HoldsNobodyUp()
    {
        var d = await Client.PrepareAsync("head -c 20000000 /dev/zero > big");
        List<Download> stalled = [];
        for (int i = 0; i < 20; i++)
        {
            stalled.Add(await Download.OpenAsync(Agent.Socket, $"{d}/big"));
            await stalled[^1].ReadAsync(1);
        }

        Assert.Equal(20_000_000, (await Client.ReadFileAsync($"{d}/big")).Bytes.Length);

        foreach (var download in stalled) await download.DisposeAsync();
        await Eventually.HoldsAsync(() => OpenFiles() == 0, "the files are closed");
    }

    private int OpenFiles() => Directory.EnumerateFileSystemEntries($"/proc/{Agent.ProcessId}/fd").Count(fd =>
    {
        var target = new FileInfo(fd).LinkTarget ?? "";
        return target.StartsWith(Agent.Workspace + "/", StringComparison.Ordinal);
    });

    private sealed class Endless(int length) : Stream
    {
        private int _left = length;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            int n = Math.Min(_left, count);
            _left -= n;
            return n;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

public sealed class HostFileContentTests(HostFixture fixture) : FileContentTests(fixture), IClassFixture<HostFixture>;

[Trait("Needs", "engine")]
public sealed class ContainerFileContentTests(ContainerFixture fixture) : FileContentTests(fixture), IClassFixture<ContainerFixture>;
