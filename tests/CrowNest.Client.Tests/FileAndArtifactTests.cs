using System.Net;
using System.Text;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http;

namespace CrowNest.Client.Tests;

public sealed class FileAndArtifactTests
{
    private const string ArtifactId = "art_aaaaaaaaaaaaaaaaaaaaaaaa";
    private const string SessionId = "ases_aaaaaaaaaaaaaaaaaaaaaaaa";
    private const string File = """{"path":"/workspace/a b","type":"file","sizeBytes":1,"modifiedAt":"2026-11-22T10:00:00.000Z"}""";

    private static readonly string Artifact = $$$"""
        {"id":"{{{ArtifactId}}}","orgId":"org_1","projectId":"prj_1","sandboxId":"{{{Samples.SandboxId}}}","name":"a","objectKey":"k",
        "sizeBytes":1,"createdAt":"2026-11-22T10:00:00.000Z","sha256":"00","metadata":{}}
        """.ReplaceLineEndings("");

    [Fact]
    public async Task Files_EveryOperation_SendsTheContract()
    {
        await using var server = await ApiServer.StartAsync(200, $$"""
            {"file":{{File}},"data":[],"deleted":true,"content":"x","encoding":"utf8","sizeBytes":1,"path":"/workspace/a b","url":"http://x/",
            "method":"GET","expiresAt":"2026-11-22T10:00:00.000Z","headers":{},"maxSizeBytes":1,"artifactId":"{{ArtifactId}}","sha256":"00"}
            """);
        var files = server.Client().Files;
        await files.ListAsync(Samples.SandboxId, "a b", depth: 2);
        await files.StatAsync(Samples.SandboxId, "a+b&c");
        await files.ReadAsync(Samples.SandboxId, "a", FileEncoding.Base64);
        await files.WriteAsync(Samples.SandboxId, new WriteFileRequest { Path = "a", Content = "x", CreateParents = true });
        await files.DeleteAsync(Samples.SandboxId, "a");
        await files.MakeDirectoryAsync(Samples.SandboxId, "d", parents: true);
        await files.MoveAsync(Samples.SandboxId, "a", "b");
        await files.CreateDownloadUrlAsync(Samples.SandboxId, "a");
        await files.CreateUploadUrlAsync(Samples.SandboxId, new CreateFileUploadUrlRequest { Path = "a", ExpiresInSeconds = 60 });
        await files.SearchAsync(Samples.SandboxId, new SearchFilesRequest { Name = "*" });
        await files.ImportArtifactAsync(Samples.SandboxId, new ImportArtifactRequest { ArtifactId = ArtifactId, Path = "a" }, "key");
        var root = $"/v1/sandboxes/{Samples.SandboxId}/files";
        Assert.Equal(
            [
                $"GET {root}?path=a%20b&depth=2 ", $"GET {root}/stat?path=a%2Bb%26c ", $"GET {root}/read?path=a&encoding=base64 ",
                $$"""PUT {{root}} {"path":"a","content":"x","createParents":true}""", $"DELETE {root}?path=a ",
                $$"""POST {{root}}/mkdir {"path":"d","parents":true}""", $$"""POST {{root}}/move {"from":"a","to":"b","overwrite":false}""",
                $$"""POST {{root}}/download-url {"path":"a"}""", $$"""POST {{root}}/upload-url {"path":"a","expiresInSeconds":60}""",
                $$"""POST {{root}}/search {"name":"*"}""", $$"""POST {{root}}/from-artifact {"artifactId":"{{ArtifactId}}","path":"a"}""",
            ],
            server.Requests.Select(r => $"{r.Method} {r.Target} {r.Body}"));
        Assert.Equal("key", server.Requests.Last().Headers["Idempotency-Key"]);
    }

    [Fact]
    public async Task Upload_OfAStream_SendsItsBytesAndLeavesItOpen()
    {
        await using var server = await ApiServer.StartAsync(200, $$"""{"file":{{File}},"sha256":"00"}""");
        using var content = new MemoryStream(Encoding.UTF8.GetBytes("skipped content"));
        content.Position = "skipped ".Length;
        var options = new UploadOptions { Overwrite = false, CreateParents = true, Sha256 = "00", SizeBytes = 7 };
        var uploaded = await server.Client().Files.UploadAsync(Samples.SandboxId, "a b", content, options);
        Assert.Equal("/workspace/a b", uploaded.File.Path);
        Assert.True(content.CanRead);
        var request = Assert.Single(server.Requests);
        Assert.Equal($"/v1/sandboxes/{Samples.SandboxId}/files/upload?path=a%20b&overwrite=false&createParents=true&sha256=00&sizeBytes=7", request.Target);
        Assert.Equal(("PUT", "content", "7"), (request.Method, request.Body, request.Headers["Content-Length"]));
    }

    [Fact]
    public async Task Upload_ThatIsRefused_IsTheApisAnswer()
    {
        await using var server = await ApiServer.StartAsync(409, """{"error":{"code":"file_already_exists","message":"It exists."}}""");
        using var content = new MemoryStream(new byte[100_000]);
        var refused = await Assert.ThrowsAsync<CrowNestApiException>(() => server.Client().Files.UploadAsync(Samples.SandboxId, "a", content));
        Assert.Equal(("file_already_exists", HttpStatusCode.Conflict), (refused.Code, refused.Status));
    }

    [Fact]
    public async Task Download_OfAPart_TellsWhatItIs()
    {
        await using var server = await ApiServer.StartAsync(async context =>
        {
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentDisposition = "attachment; filename=\"_\"; filename*=UTF-8''%C3%BC";
            context.Response.Headers.ContentRange = "bytes 2-4/10";
            context.Response.ContentType = "text/plain";
            context.Response.ContentLength = 3;
            await context.Response.WriteAsync("234");
        });
        await using var download = await server.Client().Artifacts.OpenAsync(ArtifactId, from: 2, to: 4);
        using var reader = new StreamReader(download.Content);
        Assert.Equal("234", await reader.ReadToEndAsync());
        Assert.Equal((3L, "text/plain", "ü", 10L), (download.Length, download.ContentType, download.FileName, download.Range!.Length));
        Assert.Equal("bytes=2-4", Assert.Single(server.Requests).Headers["Range"]);
    }

    [Fact]
    public async Task Facade_OfTheSecondContract_CallsTheSameRoutes()
    {
        await using var server = await ApiServer.StartAsync(200, $$"""
            {"artifact":{{Artifact}},"file":{{File}},"artifactId":"{{ArtifactId}}","sha256":"00","url":"http://x/","method":"GET",
            "expiresAt":"2026-11-22T10:00:00.000Z","data":[],"hasMore":false}
            """);
        var artifacts = server.Client().Artifacts;
        await artifacts.UploadArtifactAsync(Samples.SandboxId, "f", "r/f", "text/plain", new Dictionary<string, string> { ["k"] = "v" });
        await artifacts.DownloadArtifactAsync(Samples.SandboxId, ArtifactId, "to/f");
        await artifacts.GetArtifactUrlAsync(ArtifactId, 3600);
        await artifacts.UploadAgentSessionArtifactAsync(SessionId, "f");
        Assert.Empty(await ToListAsync(artifacts.ListArtifactsAsync(Samples.SandboxId)));
        Assert.Equal(
            [
                $$$"""POST /v1/sandboxes/{{{Samples.SandboxId}}}/artifacts {"path":"f","remotePath":"r/f","contentType":"text/plain","metadata":{"k":"v"}}""",
                $$"""POST /v1/sandboxes/{{Samples.SandboxId}}/files/from-artifact {"artifactId":"{{ArtifactId}}","path":"to/f"}""",
                $$"""POST /v1/artifacts/{{ArtifactId}}/download-url {"expiresInSeconds":3600}""",
                $$"""POST /v1/agent-sessions/{{SessionId}}/artifacts {"path":"f"}""",
                $"GET /v1/artifacts?sandboxId={Samples.SandboxId} ",
            ],
            server.Requests.Select(r => $"{r.Method} {r.Target} {r.Body}"));
    }

    [Fact]
    public async Task ListArtifacts_OfSeveralPages_GivesEveryOneOnce()
    {
        await using var server = await ApiServer.StartAsync(context =>
        {
            context.Response.ContentType = "application/json";
            return context.Response.WriteAsync(context.Request.Query["cursor"] == "c"
                ? $$"""{"data":[{{Artifact}}],"hasMore":false}"""
                : $$"""{"data":[{{Artifact}},{{Artifact}}],"hasMore":true,"nextCursor":"c"}""");
        });
        Assert.Equal(3, (await ToListAsync(server.Client().Artifacts.ListArtifactsAsync(remotePathPrefix: "b/"))).Count);
        Assert.Equal(["/v1/artifacts?remotePathPrefix=b%2F", "/v1/artifacts?remotePathPrefix=b%2F&cursor=c"], server.Requests.Select(r => r.Target));
    }

    [Fact]
    public async Task AgentSessions_EveryOperation_SendsTheContract()
    {
        var session = $$$"""{"id":"{{{SessionId}}}","orgId":"org_1","projectId":"prj_1","status":"active","metadata":{},"createdAt":"2026-11-22T10:00:00.000Z"}""";
        await using var server = await ApiServer.StartAsync(200, $$"""{"session":{{session}},"data":[],"hasMore":false}""");
        var sessions = server.Client().AgentSessions;
        Assert.Equal("active", (await sessions.CreateAsync()).Status);
        await sessions.GetAsync(SessionId);
        await sessions.ListAsync("prj_1");
        await sessions.SwitchSandboxAsync(SessionId, Samples.SandboxId);
        await sessions.ListArtifactsAsync(SessionId);
        await sessions.StopAsync(SessionId);
        Assert.Equal(
            [
                "POST /v1/agent-sessions {}", $"GET /v1/agent-sessions/{SessionId} ", "GET /v1/agent-sessions?projectId=prj_1 ",
                $$"""PUT /v1/agent-sessions/{{SessionId}}/sandbox {"sandboxId":"{{Samples.SandboxId}}"}""",
                $"GET /v1/agent-sessions/{SessionId}/artifacts ", $"POST /v1/agent-sessions/{SessionId}/stop ",
            ],
            server.Requests.Select(r => $"{r.Method} {r.Target} {r.Body}"));
    }

    private static async Task<List<T>> ToListAsync<T>(IAsyncEnumerable<T> items)
    {
        var list = new List<T>();
        await foreach (var item in items)
            list.Add(item);
        return list;
    }
}
