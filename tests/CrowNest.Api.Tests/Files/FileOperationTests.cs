using System.Net.Http.Json;
using System.Text;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.Api.Tests.Files;

public sealed class FileOperationTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task WriteStatReadListDelete_AFile_HaveTheContractsBodies()
    {
        var box = await FileBox.CreateAsync(fixture);
        var before = DateTimeOffset.UtcNow.AddSeconds(-2);
        var written = (await box.PutAsync(new { path = "src/../notes.txt", content = "hällo\0\n" }).JsonAsync()).GetProperty("file");
        Assert.Equal(("/workspace/notes.txt", "file", 8L), (written.Text("path"), written.Text("type"), written.Number("sizeBytes")));
        Assert.InRange(written.Time("modifiedAt"), before, DateTimeOffset.UtcNow.AddSeconds(2));
        Assert.False(written.Has("name"));
        var stat = (await box.GetAsync("/stat?path=notes.txt").JsonAsync()).GetProperty("file");
        Assert.Equal(written.GetRawText(), stat.GetRawText());

        var read = await box.GetAsync("/read?path=notes.txt").JsonAsync();
        Assert.Equal(("hällo\0\n", "utf8", 8L, "/workspace/notes.txt"),
            (read.Text("content"), read.Text("encoding"), read.Number("sizeBytes"), read.Text("path")));
        var raw = await box.GetAsync("/read?path=%2Fworkspace%2Fnotes.txt&encoding=base64").JsonAsync();
        Assert.Equal("hällo\0\n", Encoding.UTF8.GetString(Convert.FromBase64String(raw.Text("content")!)));

        var list = await box.GetAsync("").JsonAsync();
        Assert.False(list.Has("truncated"));
        var entry = Assert.Single(list.GetProperty("data").EnumerateArray());
        Assert.Equal(("notes.txt", "/workspace/notes.txt", "file"), (entry.Text("name"), entry.Text("path"), entry.Text("type")));

        Assert.True((await box.DeleteAsync("?path=notes.txt").JsonAsync()).GetProperty("deleted").GetBoolean());
        await box.GetAsync("/stat?path=notes.txt").ErrorAsync(404, "file_not_found");
    }

    [Fact]
    public async Task Write_Defaults_OverwriteAndMakeNoParents()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("a", "1");
        await box.WriteAsync("a", "2");
        Assert.Equal("2", (await box.GetAsync("/read?path=a").JsonAsync()).Text("content"));
        await box.PutAsync(new { path = "a", content = "3", overwrite = false }).ErrorAsync(409, "file_already_exists");
        await box.PutAsync(new { path = "x/y", content = "" }).ErrorAsync(404, "parent_directory_not_found");
        Assert.Equal(200, (int)(await box.PutAsync(new { path = "x/y", content = "", createParents = true })).StatusCode);
        var bytes = new byte[] { 0, 0xff, 0xfe, 0x80 };
        await box.PutAsync(new { path = "b", content = Convert.ToBase64String(bytes), encoding = "base64" });
        Assert.Equal("\0\ufffd\ufffd\ufffd", (await box.GetAsync("/read?path=b").JsonAsync()).Text("content"));
        Assert.Equal(Convert.ToBase64String(bytes), (await box.GetAsync("/read?path=b&encoding=base64").JsonAsync()).Text("content"));
    }

    /// <summary>The body as it travels, and the bytes that it stands for.</summary>
    [Theory]
    [InlineData("""{"path":"a","content":"\u0068\u00e9\ud83d\ude00\u0000\n\"\\"}""", "68C3A9F09F9880000A225C")]
    [InlineData("""{"path":"a","content":"plain é😀"}""", "706C61696E20C3A9F09F9880")]
    [InlineData("""{"path":"a","content":""}""", "")]
    [InlineData("""{"path":"a","content":"AAEC\n/w==\r\n","encoding":"base64"}""", "000102FF")]
    [InlineData("""{"path":"a","content":"AA\u0045C","encoding":"base64"}""", "000102")]
    [InlineData("""{"path":"a","content":"","encoding":"base64"}""", "")]
    public async Task Write_ContentInAnyForm_IsTheBytesItStandsFor(string body, string hex)
    {
        var box = await FileBox.CreateAsync(fixture);
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var written = await box.SendAsync("", content);
        Assert.Equal(200, (int)written.StatusCode);
        Assert.Equal(hex, Convert.ToHexString(await File.ReadAllBytesAsync(box.OnDisk("/workspace/a"))));
        Assert.Equal(hex.Length / 2, await box.CountedAsync("file_bytes_written"));
    }

    [Fact]
    public async Task Write_Counts_WhatItWrote()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("a", "12345");
        await box.PutAsync(new { path = "missing/a", content = "12345" }).ErrorAsync(404, "parent_directory_not_found");
        Assert.Equal(5, await box.CountedAsync("file_bytes_written"));
    }

    [Fact]
    public async Task ReadAndWrite_LargestContent_PassAndOneMoreByteIsTooLarge()
    {
        var box = await FileBox.CreateAsync(fixture);
        var largest = new byte[Limits.DirectFileBytes];
        Random.Shared.NextBytes(largest);
        var content = Convert.ToBase64String(largest);
        Assert.Equal(200, (int)(await box.PutAsync(new { path = "a", content, encoding = "base64" })).StatusCode);
        Assert.Equal(content, (await box.GetAsync("/read?path=a&encoding=base64").JsonAsync()).Text("content"));
        var tooLarge = await box.PutAsync(new { path = "a", content = new string('x', Limits.DirectFileBytes + 1) }).ErrorAsync(413, "file_too_large");
        Assert.Equal(Limits.DirectFileBytes, tooLarge.GetProperty("details").Number("max"));
        // Beyond the limit of every JSON body it is still a file that is too large.
        await box.PutAsync(new { path = "a", content = new string('x', 2 * Limits.JsonBodyBytes) }).ErrorAsync(413, "file_too_large");
        await File.WriteAllBytesAsync(box.OnDisk("/workspace/b"), new byte[Limits.DirectFileBytes + 1]);
        var refused = await box.GetAsync("/read?path=b").ErrorAsync(413, "file_too_large");
        Assert.Equal(Limits.DirectFileBytes, refused.GetProperty("details").Number("max"));
    }

    [Fact]
    public async Task List_Depth_DescendsAndTellsWhatItLeftOut()
    {
        var box = await FileBox.CreateAsync(fixture);
        foreach (var path in new[] { "b/two", "b/deep/three", "a", "B" })
        {
            await box.PutAsync(new { path, content = "", createParents = true });
        }

        Assert.Equal(["/workspace/B", "/workspace/a", "/workspace/b"], await PathsAsync("?path=%2Fworkspace"));
        Assert.Equal(["/workspace/b/deep", "/workspace/b/two"], await PathsAsync("?path=b&depth=1"));
        Assert.Equal(["/workspace/b/deep", "/workspace/b/deep/three", "/workspace/b/two"], await PathsAsync("?path=b&depth=2"));
        await using var small = fixture.StartApi(("Api:Files:MaxListEntries", "2"));
        using var client = small.Client(box.Tenant.Secret);
        var list = await client.GetAsync(new Uri($"{box.Root}?depth=9", UriKind.Relative)).JsonAsync();
        Assert.True(list.GetProperty("truncated").GetBoolean());
        Assert.Equal(2, list.GetProperty("data").GetArrayLength());

        async Task<IEnumerable<string?>> PathsAsync(string query) =>
            (await box.GetAsync(query).JsonAsync()).GetProperty("data").EnumerateArray().Select(e => e.Text("path"));
    }

    [Theory]
    [InlineData("with space", "with+space")]
    [InlineData("with+plus", "with%2Bplus")]
    [InlineData("zeile\nzwei", "zeile%0Azwei")]
    [InlineData("ümläut ☃ 𝄞", "%C3%BCml%C3%A4ut+%E2%98%83+%F0%9D%84%9E")]
    [InlineData("100%&a=b#c?d", "100%25%26a%3Db%23c%3Fd")]
    public async Task Path_WithAnyCharacters_IsTheSameEverywhere(string name, string inQuery)
    {
        var box = await FileBox.CreateAsync(fixture);
        var file = (await box.PutAsync(new { path = name, content = "x" }).JsonAsync()).GetProperty("file");
        Assert.Equal($"/workspace/{name}", file.Text("path"));
        Assert.True(File.Exists(box.OnDisk($"/workspace/{name}")));
        var read = await box.GetAsync($"/read?path={inQuery}").JsonAsync();
        Assert.Equal(("x", $"/workspace/{name}"), (read.Text("content"), read.Text("path")));
        Assert.Equal(name, (await box.GetAsync("").JsonAsync()).GetProperty("data")[0].Text("name"));
        using var download = await box.GetAsync($"/download?path={inQuery}");
        Assert.Equal("x", await download.Content.ReadAsStringAsync());
        Assert.Equal(200, (int)(await box.DeleteAsync($"?path={inQuery}")).StatusCode);
    }

    [Fact]
    public async Task MkdirAndMove_Defaults_AreThoseOfTheContract()
    {
        var box = await FileBox.CreateAsync(fixture);
        var made = (await box.PostAsync("/mkdir", new { path = "d" }).JsonAsync()).GetProperty("file");
        Assert.Equal(("/workspace/d", "directory", 0L), (made.Text("path"), made.Text("type"), made.Number("sizeBytes")));
        await box.PostAsync("/mkdir", new { path = "d" }).ErrorAsync(409, "file_already_exists");
        Assert.Equal(200, (int)(await box.PostAsync("/mkdir", new { path = "d", parents = true })).StatusCode);
        Assert.Equal(200, (int)(await box.PostAsync("/mkdir", new { path = "e/f/g", parents = true })).StatusCode);
        await box.WriteAsync("a", "1");
        await box.WriteAsync("d/b", "2");
        await box.PostAsync("/move", new { from = "a", to = "d/b" }).ErrorAsync(409, "file_already_exists");
        var moved = (await box.PostAsync("/move", new { from = "a", to = "d/b", overwrite = true }).JsonAsync()).GetProperty("file");
        Assert.Equal(("/workspace/d/b", 1L), (moved.Text("path"), moved.Number("sizeBytes")));
        await box.GetAsync("/stat?path=a").ErrorAsync(404, "file_not_found");
    }

    [Fact]
    public async Task Search_NamesAndContents_FindsAndSaysWhenItStopped()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("a.cs", "first\nneedle here\n");
        await box.WriteAsync("b.txt", "Needle\n");
        var names = await box.PostAsync("/search", new { name = "*.cs" }).JsonAsync();
        Assert.Equal("/workspace/a.cs", Assert.Single(names.GetProperty("data").EnumerateArray()).Text("path"));
        Assert.False(names.Has("truncated") || names.Has("stoppedBy"));
        var lines = await box.PostAsync("/search", new { content = "needle", caseSensitive = true }).JsonAsync();
        var hit = Assert.Single(lines.GetProperty("data").EnumerateArray());
        Assert.Equal((2L, "needle here", "a.cs"), (hit.Number("line"), hit.Text("preview"), hit.Text("name")));
        var cut = await box.PostAsync("/search", new { content = "n[e]+dle", regex = true, maxResults = 1 }).JsonAsync();
        Assert.True(cut.GetProperty("truncated").GetBoolean());
        Assert.Equal("results", cut.Text("stoppedBy"));
    }

    [Fact]
    public async Task Files_OfASandboxThatIsStillBeingMade_WaitForIt()
    {
        var tenant = await fixture.TenantAsync();
        var release = new TaskCompletionSource();
        fixture.Worker.OnStart = async (_, _) =>
        {
            await release.Task;
            return null;
        };
        try
        {
            var creating = tenant.CreateAsync();
            var id = await CrowNest.Testing.Eventually.GivesAsync(
                async () => (await tenant.GetAsync("/v1/sandboxes", "data")).EnumerateArray().Select(s => s.Text("id")).FirstOrDefault(),
                id => id is not null, "the row is there");
            var writing = tenant.Http.PutAsJsonAsync($"/v1/sandboxes/{id}/files", new { path = "a", content = "1" });
            Assert.False(writing.IsCompleted);
            release.SetResult();
            Assert.Equal(200, (int)(await writing).StatusCode);
            await creating;
        }
        finally
        {
            fixture.Worker.OnStart = null;
        }
    }
}
