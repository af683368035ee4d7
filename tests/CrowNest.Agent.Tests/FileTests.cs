using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>Looking, deleting, making and moving (docs/protocols.md 2.4, docs/reference/api.md 6).</summary>
public abstract class FileTests(AgentFixture fixture)
{
    private AgentInstance Agent => fixture.Agent;

    private AgentClient Client => fixture.Agent.Client;

    [Fact]
    public async Task List_DirectoryWithLinks_ShowsEntriesByNameWithTheirTargetsTypes()
    {
        var d = await Client.PrepareAsync(
            "mkdir -p sub/deep B; printf 12345 > a; ln -s sub to-dir; ln -s \"$PWD/a\" to-file; ln -s /etc out; ln -s gone dangling; "
            + "ln -s self self; mkfifo pipe; printf x > \"$(printf 'new\\nline')\"");

        var answer = await Client.ListAsync(d);

        Assert.Equal(["B", "a", "dangling", "new\nline", "out", "pipe", "self", "sub", "to-dir", "to-file"], answer.Names);
        var types = answer.Json.GetProperty("entries").EnumerateArray()
            .ToDictionary(e => e.GetProperty("name").GetString()!, e => (e.GetProperty("type").GetString(), e.GetProperty("sizeBytes")
                .GetInt64()));
        Assert.Equal(("directory", 0), types["sub"]);
        Assert.Equal(("directory", 0), types["to-dir"]);
        Assert.Equal(("file", 5), types["to-file"]);
        Assert.Equal(("file", 4), types["out"]);
        Assert.Equal(("file", 4), types["dangling"]);
        Assert.Equal(("file", 0), types["pipe"]);
        Assert.False(answer.Json.GetProperty("truncated").GetBoolean());
        Assert.Equal($"{Agent.Workspace}/{d}/B", answer.Json.GetProperty("entries")[0].GetProperty("path").GetString());
    }

    [Fact]
    public async Task List_Recursively_GoesAsDeepAsAskedAndNotThroughLinks()
    {
        var d = await Client.PrepareAsync("mkdir -p a/b/c; touch a/b/c/x a-b; ln -s a l");

        Assert.Equal(["a", "a-b", "b", "l"], (await Client.ListAsync(d, depth: 2)).Names);
        Assert.Equal(["a", "a-b", "b", "c", "x", "l"], (await Client.ListAsync(d, depth: 9)).Names);
    }

    [Fact]
    public async Task List_MoreThanAskedFor_IsTheFirstOfThemAndTruncated()
    {
        var d = await Client.PrepareAsync("for i in $(seq 1000 2999); do echo > f$i; done");

        var answer = await Client.ListAsync(d, maxEntries: 10);

        Assert.Equal(Enumerable.Range(1000, 10).Select(i => $"f{i}"), answer.Names);
        Assert.True(answer.Json.GetProperty("truncated").GetBoolean());
        Assert.False((await Client.ListAsync(d, maxEntries: 2000)).Json.GetProperty("truncated").GetBoolean());
    }

    [Fact]
    public async Task List_NamesThatAreNotUtf8_AreShownWithReplacementCharacters()
    {
        var d = await Client.PrepareAsync("touch \"$(printf 'bad\\377name')\" '\u00e4\u00f6\ud83d\ude00'");

        Assert.Equal(["bad\ufffdname", "\u00e4\u00f6\ud83d\ude00"], (await Client.ListAsync(d)).Names);
        Assert.Equal("200", (await Client.StatAsync($"{d}/\u00e4\u00f6\ud83d\ude00")).Outcome);
        Assert.Equal("404 file_not_found", (await Client.StatAsync($"{d}/bad\ufffdname")).Outcome);
    }

    [Fact]
    public async Task List_TenThousandEntries_AnswersWithAll()
    {
        var d = await Client.PrepareAsync("perl -e 'for (1..10000) { open(F, \">\", sprintf(\"file-%05d\", $_)); }'");

        var answer = await Client.ListAsync(d, maxEntries: 20_000);

        Assert.Equal(Enumerable.Range(1, 10_000).Select(i => $"file-{i:d5}"), answer.Names);
        Assert.False(answer.Json.GetProperty("truncated").GetBoolean());
        await Client.RunAsync($"rm -r {d}");
    }

    [Fact]
    public async Task List_WhatCannotBeListed_SaysWhy()
    {
        var d = await Client.PrepareAsync("touch file; ln -s / out; ln -s self self; mkdir shut; chmod 0 shut");

        Assert.Equal("400 path_not_directory", (await Client.ListAsync($"{d}/file")).Outcome);
        Assert.Equal("404 file_not_found", (await Client.ListAsync($"{d}/none")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.ListAsync($"{d}/out")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.ListAsync($"{d}/self")).Outcome);
        Assert.Equal("403 forbidden", (await Client.ListAsync($"{d}/shut")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.ListAsync(d, depth: 0)).Outcome);
        Assert.Equal("400 invalid_request", (await Client.ListAsync(d, depth: 101)).Outcome);
        Assert.Equal("400 invalid_request", (await Client.ListAsync(d, maxEntries: 0)).Outcome);
    }

    /// <summary>As deep as the API lets a caller ask.</summary>
    [Fact]
    public async Task List_AHundredLevels_GoesDownToTheLast()
    {
        var d = await Client.PrepareAsync("p=.; for i in $(seq 102); do p=$p/l$i; done; mkdir -p $p");

        Assert.Equal(Enumerable.Range(1, 100).Select(i => $"l{i}"), (await Client.ListAsync(d, depth: 100)).Names);
    }

    /// <summary>Every byte of such a path takes three characters of the request.</summary>
    [Fact]
    public async Task Path_OfTheMostBytes_IsTaken()
    {
        var name = string.Concat(Enumerable.Repeat("\u20ac", 85));
        var path = string.Join('/', Enumerable.Repeat(name, 15));

        Assert.Equal("200", (await Client.WriteFileAsync(path, "x"u8.ToArray(), ("createParents", "true"))).Outcome);
        Assert.Equal("x", (await Client.ReadFileAsync(path)).Text);
    }

    [Fact]
    public async Task Stat_FileDirectoryAndRoot_AnswersAbsolutePathAndTime()
    {
        var d = await Client.PrepareAsync("printf 12345 > 'a b+c'; touch -d @1700000000.25 'a b+c'");

        var file = (await Client.StatAsync($"./{d}/x/../a b+c")).Json;

        Assert.Equal($"{Agent.Workspace}/{d}/a b+c", file.GetProperty("path").GetString());
        Assert.Equal(5, file.GetProperty("sizeBytes").GetInt64());
        Assert.Equal(1_700_000_000_250, file.GetProperty("modifiedAt").GetInt64());
        Assert.Equal("directory", (await Client.StatAsync(Agent.Workspace)).Json.GetProperty("type").GetString());
        Assert.Equal("directory", (await Client.StatAsync(".")).Json.GetProperty("type").GetString());
        // A plus is a plus, whether it was encoded or not.
        var (_, plain) = await Client.SendAsync(HttpMethod.Get, $"/files/stat?path={d}/a%20b+c");
        Assert.Equal(5, plain.GetProperty("sizeBytes").GetInt64());
    }

    /// <summary>The file system's times reach further than an answer's.</summary>
    [Theory]
    [InlineData("-100", -100_000)]
    [InlineData("-62135596801", -62_135_596_800_000)]
    [InlineData("253402300800", 253_402_300_799_000)]
    [InlineData("9223372036854775807", 253_402_300_799_000)]
    public async Task Stat_TimeOfAnotherAge_IsTheNearestThatCanBeTold(string seconds, long expected)
    {
        // Not every file system takes each of them; what it makes of one is told as well.
        var d = await Client.PrepareAsync($"touch f; touch -d @{seconds} f; stat -c %Y f > y");
        var taken = long.Parse((await Client.ReadFileAsync($"{d}/y")).Text, System.Globalization.CultureInfo.InvariantCulture);

        var told = (await Client.StatAsync($"{d}/f")).Json.GetProperty("modifiedAt").GetInt64();

        Assert.Equal($"{taken}" == seconds ? expected : taken * 1000, told);
        Assert.Equal($"{told}", (await Client.ReadFileAsync($"{d}/f")).Header("X-File-Modified"));
    }

    [Fact]
    public async Task Delete_EachKind_RemovesItAndNothingElse()
    {
        var d = await Client.PrepareAsync(
            "mkdir empty full; touch full/x file; ln -s full link; ln -s /etc/passwd out; mkfifo pipe; ln -s self self");

        Assert.Equal("204", (await Client.DeleteFileAsync($"{d}/file")).Outcome);
        Assert.Equal("204", (await Client.DeleteFileAsync($"{d}/empty")).Outcome);
        Assert.Equal("204", (await Client.DeleteFileAsync($"{d}/link")).Outcome);
        Assert.Equal("204", (await Client.DeleteFileAsync($"{d}/out")).Outcome);
        Assert.Equal("204", (await Client.DeleteFileAsync($"{d}/pipe")).Outcome);
        Assert.Equal("204", (await Client.DeleteFileAsync($"{d}/self")).Outcome);
        Assert.Equal("409 directory_not_empty", (await Client.DeleteFileAsync($"{d}/full")).Outcome);
        Assert.Equal("404 file_not_found", (await Client.DeleteFileAsync($"{d}/file")).Outcome);
        Assert.Equal("404 file_not_found", (await Client.DeleteFileAsync($"{d}/none/x")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.DeleteFileAsync(Agent.Workspace)).Outcome);
        Assert.Equal(["full", "x"], (await Client.ListAsync(d, depth: 2)).Names);
    }

    [Fact]
    public async Task MakeDirectory_Missing_BelongsToTheUserWithTheUsualMode()
    {
        var d = await Client.PrepareAsync("ln -s \"$PWD\" here");

        Assert.Equal("200", (await Client.MakeDirectoryAsync($"{d}/new")).Outcome);
        Assert.Equal("200", (await Client.MakeDirectoryAsync($"{d}/here/p/q/r", parents: true)).Outcome);

        var modes = await Client.RunAsync($"cd {d} && stat -c '%n %a %u:%g' new p p/q p/q/r");
        Assert.Equal(
            string.Concat(new[] { "new", "p", "p/q", "p/q/r" }.Select(n => $"{n} 755 {Agent.Uid}:{Agent.Uid}\n")), modes.Out);
    }

    [Fact]
    public async Task MakeDirectory_Existing_IsReturnedOrRefused()
    {
        var d = await Client.PrepareAsync("mkdir dir; touch file; ln -s dir link; ln -s /tmp out");

        Assert.Equal("200", (await Client.MakeDirectoryAsync($"{d}/dir", parents: true)).Outcome);
        Assert.Equal("200", (await Client.MakeDirectoryAsync($"{d}/link", parents: true)).Outcome);
        Assert.Equal("200", (await Client.MakeDirectoryAsync(Agent.Workspace, parents: true)).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.MakeDirectoryAsync($"{d}/dir")).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.MakeDirectoryAsync(Agent.Workspace)).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.MakeDirectoryAsync($"{d}/file")).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.MakeDirectoryAsync($"{d}/file", parents: true)).Outcome);
        Assert.Equal("404 parent_directory_not_found", (await Client.MakeDirectoryAsync($"{d}/a/b")).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.MakeDirectoryAsync($"{d}/file/b")).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.MakeDirectoryAsync($"{d}/file/b", parents: true)).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.MakeDirectoryAsync($"{d}/out/b")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.MakeDirectoryAsync($"{d}/out/b", parents: true)).Outcome);
    }

    [Fact]
    public async Task Move_FilesDirectoriesAndLinks_AnswersTheDestination()
    {
        var d = await Client.PrepareAsync("printf 123 > f; mkdir -p dir/sub empty; touch dir/x; ln -s f link; printf old > old");

        var moved = await Client.MoveAsync($"{d}/f", $"{d}/dir/g");
        Assert.Equal(3, moved.Json.GetProperty("sizeBytes").GetInt64());
        Assert.Equal($"{Agent.Workspace}/{d}/dir/g", moved.Json.GetProperty("path").GetString());
        Assert.Equal("200", (await Client.MoveAsync($"{d}/link", $"{d}/moved-link")).Outcome);
        Assert.Equal("200", (await Client.MoveAsync($"{d}/dir/g", $"{d}/old", overwrite: true)).Outcome);
        Assert.Equal("200", (await Client.MoveAsync($"{d}/dir", $"{d}/empty", overwrite: true)).Outcome);

        var state = await Client.RunAsync($"cd {d}; readlink moved-link; cat old; ls empty");
        Assert.Equal("f\n123sub\nx\n", state.Out);
    }

    [Fact]
    public async Task Move_WhatCannotBe_SaysWhyAndChangesNothing()
    {
        var d = await Client.PrepareAsync("mkdir -p dir/sub full; touch full/x f g; ln -s /tmp out");

        Assert.Equal("404 file_not_found", (await Client.MoveAsync($"{d}/none", $"{d}/x")).Outcome);
        Assert.Equal("404 file_not_found", (await Client.MoveAsync($"{d}/none/y", $"{d}/x")).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.MoveAsync($"{d}/f", $"{d}/g")).Outcome);
        Assert.Equal("409 file_already_exists", (await Client.MoveAsync($"{d}/f", $"{d}/f")).Outcome);
        Assert.Equal("404 parent_directory_not_found", (await Client.MoveAsync($"{d}/f", $"{d}/none/x")).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.MoveAsync($"{d}/f", $"{d}/g/x")).Outcome);
        Assert.Equal("409 directory_not_empty", (await Client.MoveAsync($"{d}/dir", $"{d}/full", overwrite: true)).Outcome);
        Assert.Equal("400 path_is_directory", (await Client.MoveAsync($"{d}/f", $"{d}/dir", overwrite: true)).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.MoveAsync($"{d}/dir", $"{d}/f", overwrite: true)).Outcome);
        Assert.Equal("400 invalid_request", (await Client.MoveAsync($"{d}/dir", $"{d}/dir/sub/y")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.MoveAsync(Agent.Workspace, $"{d}/x")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.MoveAsync($"{d}/f", Agent.Workspace, overwrite: true)).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.MoveAsync($"{d}/f", $"{d}/out/x")).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.MoveAsync($"{d}/out/x", $"{d}/y")).Outcome);
        Assert.Equal(["dir", "f", "full", "g", "out", "sub", "x"], (await Client.ListAsync(d,
            depth: 2)).Names.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a\0b")]
    public async Task Path_EmptyOrWithNul_IsInvalid(string path)
    {
        Assert.Equal("400 invalid_request", (await Client.StatAsync(path)).Outcome);
        Assert.Equal("400 invalid_request", (await Client.ListAsync(path)).Outcome);
        Assert.Equal("400 invalid_request", (await Client.WriteFileAsync(path, "x")).Outcome);
        Assert.Equal("400 invalid_request", (await Client.MakeDirectoryAsync(path)).Outcome);
        Assert.Equal("400 invalid_request", (await Client.MoveAsync(path, "x")).Outcome);
    }

    [Fact]
    public async Task Path_TooLongOrNotUnicodeOrAmbiguous_IsInvalid()
    {
        Assert.Equal("400 invalid_request", (await Client.StatAsync(new string('a', 256))).Outcome);
        Assert.Equal("400 invalid_request", (await Client.StatAsync(new string('\u00e4', 128))).Outcome);
        Assert.Equal("404 file_not_found", (await Client.StatAsync(new string('a', 255))).Outcome);
        Assert.Equal("400 invalid_request", (await Client.StatAsync(string.Concat(Enumerable.Repeat("abcd/", 900)))).Outcome);
        foreach (var query in new[] { "path=%FF", "path=%C3%28", "path=a&path=b", "" })
        {
            var (_, body) = await Client.SendAsync(HttpMethod.Get, $"/files/stat?{query}");
            Assert.Equal("invalid_request", AgentClient.Code(body));
        }
    }
}

public sealed class HostFileTests(HostFixture fixture) : FileTests(fixture), IClassFixture<HostFixture>;

[Trait("Needs", "engine")]
public sealed class ContainerFileTests(ContainerFixture fixture) : FileTests(fixture), IClassFixture<ContainerFixture>;
