using System.Text;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Files;

/// <summary>
/// Every error code of docs/reference/api.md 6, and of the routes added to it. The workspace has a file <c>f</c>, a directory <c>d</c> with
/// a file <c>in</c>, an empty directory <c>e</c>, and <c>big</c>, one byte too large to be read directly.
/// </summary>
public sealed class FileErrorTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private const string Sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    [Theory]
    [InlineData("GET", "?path=nope", "", 404, "file_not_found")]
    [InlineData("GET", "?path=f", "", 400, "path_not_directory")]
    [InlineData("GET", "?path=%2Fetc", "", 400, "path_outside_workspace")]
    [InlineData("GET", "?path=d%2F..%2F..%2Fetc", "", 400, "path_outside_workspace")]
    [InlineData("GET", "?path=", "", 400, "invalid_request")]
    [InlineData("GET", "?path=a&path=b", "", 400, "invalid_request")]
    [InlineData("GET", "?path=a%00b", "", 400, "invalid_request")]
    [InlineData("GET", "?depth=0", "", 400, "invalid_request")]
    [InlineData("GET", "?depth=101", "", 400, "invalid_request")]
    [InlineData("GET", "?depth=many", "", 400, "invalid_request")]
    [InlineData("GET", "?depth=99999999999999999999", "", 400, "invalid_request")]
    [InlineData("GET", "/stat", "", 400, "invalid_request")]
    [InlineData("GET", "/stat?path=nope", "", 404, "file_not_found")]
    [InlineData("GET", "/stat?path=..", "", 400, "path_outside_workspace")]
    [InlineData("GET", "/read", "", 400, "invalid_request")]
    [InlineData("GET", "/read?path=nope", "", 404, "file_not_found")]
    [InlineData("GET", "/read?path=d", "", 400, "path_is_directory")]
    [InlineData("GET", "/read?path=big", "", 413, "file_too_large")]
    [InlineData("GET", "/read?path=f&encoding=latin1", "", 400, "invalid_file_encoding")]
    [InlineData("PUT", "", """{"content":"x"}""", 400, "invalid_request")]
    [InlineData("PUT", "", """{"path":"g"}""", 400, "invalid_request")]
    [InlineData("PUT", "", """{"path":"g","content":5}""", 400, "invalid_request")]
    [InlineData("PUT", "", """{"path":"g","content":null}""", 400, "invalid_request")]
    [InlineData("PUT", "", """{"path":"g","content":"x","overwrite":"yes"}""", 400, "invalid_request")]
    [InlineData("PUT", "", """{"path":"g","content":"x","other":"\u0000"}""", 400, "invalid_request")]
    [InlineData("PUT", "", """{"path":"g\u0000","content":"x"}""", 400, "invalid_request")]
    [InlineData("PUT", "", "[]", 400, "invalid_request")]
    [InlineData("PUT", "", """{"path":"/tmp/g","content":"x"}""", 400, "path_outside_workspace")]
    [InlineData("PUT", "", """{"path":"g","content":"x","encoding":"latin1"}""", 400, "invalid_file_encoding")]
    [InlineData("PUT", "", """{"path":"g","content":"%%%","encoding":"base64"}""", 400, "invalid_file_encoding")]
    [InlineData("PUT", "", """{"path":"g","content":"YQ","encoding":"base64"}""", 400, "invalid_file_encoding")]
    [InlineData("PUT", "", """{"path":"g","content":"\ud800"}""", 400, "invalid_file_encoding")]
    [InlineData("PUT", "", """{"path":"d","content":"x"}""", 400, "path_is_directory")]
    [InlineData("PUT", "", """{"path":"/workspace","content":"x"}""", 400, "path_is_directory")]
    [InlineData("PUT", "", """{"path":"f/x","content":"x","createParents":true}""", 400, "path_not_directory")]
    [InlineData("PUT", "", """{"path":"nope/x","content":"x"}""", 404, "parent_directory_not_found")]
    [InlineData("PUT", "", """{"path":"f","content":"x","overwrite":false}""", 409, "file_already_exists")]
    [InlineData("DELETE", "", "", 400, "invalid_request")]
    [InlineData("DELETE", "?path=.", "", 400, "invalid_request")]
    [InlineData("DELETE", "?path=nope", "", 404, "file_not_found")]
    [InlineData("DELETE", "?path=d", "", 409, "directory_not_empty")]
    [InlineData("POST", "/mkdir", "{}", 400, "invalid_request")]
    [InlineData("POST", "/mkdir", """{"path":"d"}""", 409, "file_already_exists")]
    [InlineData("POST", "/mkdir", """{"path":"f","parents":true}""", 409, "file_already_exists")]
    [InlineData("POST", "/mkdir", """{"path":"nope/x"}""", 404, "parent_directory_not_found")]
    [InlineData("POST", "/move", """{"from":"f"}""", 400, "invalid_request")]
    [InlineData("POST", "/move", """{"from":"/workspace","to":"g"}""", 400, "invalid_request")]
    [InlineData("POST", "/move", """{"from":"d","to":"d/x"}""", 400, "invalid_request")]
    [InlineData("POST", "/move", """{"from":"nope","to":"g"}""", 404, "file_not_found")]
    [InlineData("POST", "/move", """{"from":"f","to":"big"}""", 409, "file_already_exists")]
    [InlineData("POST", "/move", """{"from":"f","to":"nope/x"}""", 404, "parent_directory_not_found")]
    [InlineData("POST", "/move", """{"from":"e","to":"d","overwrite":true}""", 409, "directory_not_empty")]
    [InlineData("POST", "/move", """{"from":"f","to":"../f"}""", 400, "path_outside_workspace")]
    [InlineData("POST", "/search", "{}", 400, "invalid_request")]
    [InlineData("POST", "/search", """{"name":""}""", 400, "invalid_request")]
    [InlineData("POST", "/search", """{"name":"*","regex":true}""", 400, "invalid_request")]
    [InlineData("POST", "/search", """{"name":"*","maxResults":1001}""", 400, "invalid_request")]
    [InlineData("POST", "/search", """{"name":"*","maxDepth":0}""", 400, "invalid_request")]
    [InlineData("POST", "/search", """{"name":"*","timeoutMs":30001}""", 400, "invalid_request")]
    [InlineData("POST", "/search", """{"name":"*","path":"nope"}""", 404, "file_not_found")]
    [InlineData("POST", "/download-url", "{}", 400, "invalid_request")]
    [InlineData("POST", "/download-url", """{"path":"nope"}""", 404, "file_not_found")]
    [InlineData("POST", "/download-url", """{"path":"d"}""", 400, "path_is_directory")]
    [InlineData("GET", "/download?path=nope", "", 404, "file_not_found")]
    [InlineData("GET", "/download?path=d", "", 400, "path_is_directory")]
    [InlineData("GET", "/download", "", 400, "invalid_request")]
    [InlineData("GET", "/archive?path=f", "", 400, "path_not_directory")]
    [InlineData("GET", "/archive?path=nope", "", 404, "file_not_found")]
    [InlineData("PUT", "/archive?path=nope", "x", 404, "file_not_found")]
    [InlineData("PUT", "/archive?path=e", "no archive", 400, "invalid_request")]
    [InlineData("POST", "/upload-url", "{}", 400, "invalid_request")]
    [InlineData("POST", "/upload-url", """{"path":"/workspace"}""", 400, "invalid_request")]
    [InlineData("POST", "/upload-url", """{"path":"/etc/x"}""", 400, "path_outside_workspace")]
    [InlineData("POST", "/upload-url", """{"path":"g","sizeBytes":-1}""", 400, "invalid_request")]
    [InlineData("POST", "/upload-url", """{"path":"g","sizeBytes":1073741825}""", 413, "file_too_large")]
    [InlineData("POST", "/upload-url", """{"path":"g","sha256":"abc"}""", 400, "invalid_request")]
    [InlineData("POST", "/upload-url", """{"path":"g","expiresInSeconds":0}""", 400, "invalid_request")]
    [InlineData("POST", "/upload-url", """{"path":"g","expiresInSeconds":604801}""", 400, "invalid_request")]
    [InlineData("PUT", "/upload", "x", 400, "invalid_request")]
    [InlineData("PUT", "/upload?path=g&overwrite=1", "x", 400, "invalid_request")]
    [InlineData("PUT", "/upload?path=g&sha256=abc", "x", 400, "invalid_request")]
    [InlineData("PUT", "/upload?path=g&sha256=" + Sha256, "x", 400, "upload_checksum_mismatch")]
    [InlineData("PUT", "/upload?path=g&sizeBytes=2", "x", 400, "upload_size_mismatch")]
    [InlineData("PUT", "/upload?path=g&sizeBytes=0", "x", 400, "upload_size_mismatch")]
    [InlineData("PUT", "/upload?path=g&sizeBytes=1073741825", "x", 413, "file_too_large")]
    [InlineData("PUT", "/upload?path=d", "x", 400, "path_is_directory")]
    [InlineData("PUT", "/upload?path=f&overwrite=false", "x", 409, "file_already_exists")]
    [InlineData("PUT", "/upload?path=nope%2Fx", "x", 404, "parent_directory_not_found")]
    [InlineData("PUT", "/upload?path=f%2Fx", "x", 400, "path_not_directory")]
    [InlineData("PUT", "/upload?path=%2Fx", "x", 400, "path_outside_workspace")]
    public async Task Request_WithAFault_HasItsCodeAndChangesNothing(string method, string route, string body, int status, string code)
    {
        var box = await FileBox.CreateAsync(fixture);
        Directory.CreateDirectory(box.OnDisk("/workspace/d"));
        Directory.CreateDirectory(box.OnDisk("/workspace/e"));
        await File.WriteAllTextAsync(box.OnDisk("/workspace/f"), "old");
        await File.WriteAllTextAsync(box.OnDisk("/workspace/d/in"), "in");
        await File.WriteAllBytesAsync(box.OnDisk("/workspace/big"), new byte[Limits.DirectFileBytes + 1]);

        await SendAsync(box, method, route, body).ErrorAsync(status, code);
        Assert.Equal("old", await File.ReadAllTextAsync(box.OnDisk("/workspace/f")));
        Assert.Equal(["big", "d", "e", "f"], Directory.GetFileSystemEntries(box.OnDisk("/workspace")).Select(Path.GetFileName).Order());
        Assert.Equal(0, await box.CountedAsync("file_bytes_written"));

        // Who has no such sandbox hears nothing of the rest; only what no statement could hold is refused before.
        if (!route.Contains("%00", StringComparison.Ordinal))
        {
            await SendAsync(box with { Id = "sbx_unknown" }, method, route, body).ErrorAsync(404, "not_found");
        }
    }

    [Theory]
    [InlineData("GET", "", "")]
    [InlineData("GET", "/stat?path=f", "")]
    [InlineData("GET", "/read?path=f", "")]
    [InlineData("GET", "/download?path=f", "")]
    [InlineData("GET", "/archive", "")]
    [InlineData("PUT", "", """{"path":"f","content":""}""")]
    [InlineData("PUT", "/upload?path=f", "x")]
    [InlineData("PUT", "/archive", "x")]
    [InlineData("DELETE", "?path=f", "")]
    [InlineData("POST", "/mkdir", """{"path":"f"}""")]
    [InlineData("POST", "/move", """{"from":"f","to":"g"}""")]
    [InlineData("POST", "/search", """{"name":"f"}""")]
    [InlineData("POST", "/download-url", """{"path":"f"}""")]
    [InlineData("POST", "/upload-url", """{"path":"f"}""")]
    public async Task Request_ToADestroyedSandbox_IsGoneAndAWrongOneIsStillWrong(string method, string route, string body)
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{box.Id}", UriKind.Relative));
        var error = await SendAsync(box, method, route, body).ErrorAsync(410, "sandbox_destroyed");
        Assert.Equal("destroyed", error.GetProperty("details").Text("status"));
        if (body.StartsWith('{'))
        {
            await SendAsync(box, method, route, "{").ErrorAsync(400, "invalid_request");
        }
    }

    [Fact]
    public async Task Request_WhoseNodeRefusesForItsOwnReasons_IsARuntimeError()
    {
        var box = await FileBox.CreateAsync(fixture);
        var error = await RefusedAsync(box, "unauthorized", 401);
        Assert.DoesNotContain("unauthorized", error.Text("code"), StringComparison.Ordinal);
        await RefusedAsync(box, "not_found", 404);
        await RefusedAsync(box, "anything_else", 409);

        static async Task<System.Text.Json.JsonElement> RefusedAsync(FileBox box, string code, int status)
        {
            box.Fixture.Worker.Files.Instead = async context =>
            {
                context.Response.StatusCode = status;
                await context.Response.WriteAsJsonAsync(new { error = new { code, message = "No." } });
                return true;
            };
            try
            {
                return await box.GetAsync("/stat?path=f").ErrorAsync(500, "runtime_error");
            }
            finally
            {
                box.Fixture.Worker.Files.Instead = null;
            }
        }
    }

    [Fact]
    public async Task Write_ToAFullWorkspace_IsAQuotaAndKeepsTheOldContent()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "old");
        box.Fixture.Worker.Files.WorkspaceBytes = 10;
        try
        {
            var error = await box.PutAsync(new { path = "f", content = new string('x', 100) }).ErrorAsync(429, "quota_exceeded");
            Assert.Equal("workspace_bytes", error.GetProperty("details").Text("quota"));
            await box.SendAsync("/upload?path=f", new StringContent(new string('x', 100))).ErrorAsync(429, "quota_exceeded");
        }
        finally
        {
            box.Fixture.Worker.Files.WorkspaceBytes = long.MaxValue;
        }

        Assert.Equal("old", (await box.GetAsync("/read?path=f").JsonAsync()).Text("content"));
    }

    private static Task<HttpResponseMessage> SendAsync(FileBox box, string method, string route, string body) =>
        box.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), box.Root + route)
        {
            Content = body.Length == 0 ? null : new StringContent(body, Encoding.UTF8),
        });
}
