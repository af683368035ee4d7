using System.Diagnostics;
using System.Text.Json;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary><c>POST /files/search</c> (docs/protocols.md 2.4).</summary>
[Trait("Needs", "engine")]
public sealed class FileSearchTests(ContainerFixture fixture) : IClassFixture<ContainerFixture>
{
    private AgentClient Client => fixture.Agent.Client;

    private string Workspace => fixture.Agent.Workspace;

    [Fact]
    public async Task Search_ByName_FindsFilesAndDirectoriesButNotThroughLinks()
    {
        var d = await Client.PrepareAsync("mkdir -p a/Test.d; touch a/test.c a/Test.d/x test.h 'te[s]t'; ln -s a l; ln -s /tmp test.l");

        Assert.Equal(["a/Test.d", "a/test.c", "te[s]t", "test.h", "test.l"], await FindAsync(d, new
        {
            path = d,
            name = "t*t*",
            caseSensitive = false
        }));
        Assert.Equal(["a/test.c"], await FindAsync(d, new { path = d, name = "????.[a-c]" }));
        Assert.Equal(["te[s]t"], await FindAsync(d, new { path = d, name = "te\\[s]t" }));
        Assert.Equal(["test.h", "test.l"], await FindAsync(d, new { path = d, name = "test.[!c]", maxDepth = 1 }));
    }

    [Fact]
    public async Task Search_ByContent_AnswersLineColumnAndPreview()
    {
        var d = await Client.PrepareAsync("mkdir s; printf 'one\\r\\n\u00e4\u00f6 Needle two needle\\nneedle' > s/f; "
            + "printf 'needle\\0' > bin; printf 'needle \\377' > latin; ln -s s/f l");

        var answer = (await Client.SearchAsync(new { path = d, content = "needle" })).Json;

        Assert.False(answer.GetProperty("truncated").GetBoolean());
        var matches = answer.GetProperty("matches").EnumerateArray().ToArray();
        Assert.Equal([(2, 15), (3, 1)], matches.Select(m => (m.GetProperty("line").GetInt32(), m.GetProperty("column").GetInt32())));
        Assert.Equal("\u00e4\u00f6 Needle two needle", matches[0].GetProperty("preview").GetString());
        Assert.Equal($"{Workspace}/{d}/s/f", matches[0].GetProperty("path").GetString());
        Assert.Equal(4, (await FirstAsync(d, new { path = d, content = "needle", caseSensitive = false })).GetProperty("column")
            .GetInt32());
        Assert.Equal(1, (await FirstAsync(d, new { path = d, content = "^one$", regex = true })).GetProperty("line").GetInt32());
        Assert.Empty(await FindAsync(d, new { path = d, content = "needle", name = "*.txt" }));
    }

    [Fact]
    public async Task Search_LongLinesAndLargeFiles_AreSearchedWhole()
    {
        var d = await Client.PrepareAsync("perl -e 'print \"\u00e4\" x 400000, \"needle\\n\"; print \"x\\n\" x 300000; "
            + "print \"needle\"' > f");

        var matches = (await Client.SearchAsync(new { path = d, content = "needle" })).Json.GetProperty("matches");

        Assert.Equal([1, 300_002], matches.EnumerateArray().Select(m => m.GetProperty("line").GetInt32()));
    }

    [Fact]
    public async Task Search_Bounds_AreKeptAndSaid()
    {
        var d = await Client.PrepareAsync("mkdir -p a/b/c; for i in $(seq 50); do echo needle > a/b/c/$i; done; "
            + "perl -e 'print \"needle\\n\" x 100000' > many");

        var many = (await Client.SearchAsync(new { path = d, content = "needle", maxResults = 20 })).Json;
        Assert.Equal(20, many.GetProperty("matches").GetArrayLength());
        Assert.True(many.GetProperty("truncated").GetBoolean());
        Assert.Equal("results", many.GetProperty("stoppedBy").GetString());
        Assert.Equal(50, (await FindAsync(d, new { path = $"{d}/a", content = "needle", maxResults = 50 })).Length);
        Assert.Empty(await FindAsync(d, new { path = $"{d}/a", content = "needle", maxDepth = 2 }));
    }

    [Fact]
    public async Task Search_HostileExpression_EndsInTimeAndOthersAreServed()
    {
        var d = await Client.PrepareAsync("perl -e 'print \"a\" x 100000, \"!\\n\" for 1..200' > f");
        var watch = Stopwatch.StartNew();

        foreach (var expression in new[] { "^(a+)+$", "(a|a)*b", "(.*)*x(.*)*y(.*)*z", "(?:a?){500}a{500}b" })
        {
            var searching = Client.SearchAsync(new { path = d, content = expression, regex = true, timeoutMs = 1500 });
            Assert.Equal("200", (await Client.StatAsync(d)).Outcome);
            Assert.Equal("200", (await searching).Outcome);
        }

        Assert.InRange(watch.ElapsedMilliseconds, 0, 15_000);
    }

    [Fact]
    public async Task Search_WhatCannotBe_SaysWhy()
    {
        var d = await Client.PrepareAsync("touch f; ln -s / out");

        Assert.Equal("400 invalid_request", (await Client.SearchAsync(new { path = d })).Outcome);
        Assert.Equal("400 invalid_request", (await Client.SearchAsync(new { path = d, content = "(", regex = true })).Outcome);
        Assert.Equal("400 invalid_request", (await Client.SearchAsync(new { path = d, content = "(a)\\1", regex = true })).Outcome);
        Assert.Equal("400 invalid_request", (await Client.SearchAsync(new
        {
            path = d,
            content = "((a{100}){100}){100}",
            regex = true
        })).Outcome);
        Assert.Equal("400 invalid_request", (await Client.SearchAsync(new { path = d, content = "" })).Outcome);
        Assert.Equal("400 invalid_request", (await Client.SearchAsync(new { path = d, name = "*", maxResults = 0 })).Outcome);
        Assert.Equal("400 invalid_request", (await Client.SearchAsync(new { path = d, name = "*", timeoutMs = 1_000_000 })).Outcome);
        Assert.Equal("400 path_not_directory", (await Client.SearchAsync(new { path = $"{d}/f", name = "*" })).Outcome);
        Assert.Equal("400 path_outside_workspace", (await Client.SearchAsync(new { path = $"{d}/out", name = "*" })).Outcome);
        Assert.Equal("404 file_not_found", (await Client.SearchAsync(new { path = $"{d}/none", name = "*" })).Outcome);
    }

    private async Task<string[]> FindAsync(string directory, object request)
    {
        var answer = await Client.SearchAsync(request);
        Assert.Equal("200", answer.Outcome);
        var prefix = $"{Workspace}/{directory}/";
        return answer.Json.GetProperty("matches").EnumerateArray()
            .Select(m => m.GetProperty("path").GetString()![prefix.Length..]).Order(StringComparer.Ordinal).ToArray();
    }

    private async Task<JsonElement> FirstAsync(string directory, object request)
    {
        var answer = await Client.SearchAsync(request);
        Assert.True(answer.Json.GetProperty("matches").GetArrayLength() > 0, directory);
        return answer.Json.GetProperty("matches")[0];
    }
}
