using System.Net.Http.Json;
using System.Security.Cryptography;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using CrowNest.Worker.Tests.Files;
using Microsoft.AspNetCore.Http;
using Xunit;
using static CrowNest.Worker.Tests.Files.FileNode;

namespace CrowNest.Worker.Tests.Artifacts;

/// <summary>docs/protocols.md 3, <c>imports</c>: an object becomes a file, or nothing does.</summary>
public sealed class ObjectImportTests(BackingServices backing)
{
    private const string Key = "artifacts/org_test/art_1";

    [Theory]
    [InlineData(0)]
    [InlineData(20 * 1024 * 1024 + 1)]
    public async Task Import_Object_IsWrittenWhole(int size)
    {
        await using var node = await StartAsync(backing);
        var content = RandomNumberGenerator.GetBytes(size);
        byte[]? written = null;
        await using var agent = await FakeAgent.StartAsync(async context => written = await TakeAsync(context));
        var (sandbox, request) = await PrepareAsync(node, agent, content);

        var file = await ReadAsync<AgentFile>(PostAsync(node, sandbox, request));

        Assert.Equal(content, written);
        Assert.Equal(("/workspace/in put", size, request.Sha256), (file.Path, file.SizeBytes, file.Sha256));
        Assert.Equal(
            $"PUT /files/content?path=in%20put&overwrite=true&createParents=false&maxBytes={size}&sha256={request.Sha256}",
            Assert.Single(agent.Requests));
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("shorter")]
    [InlineData("damaged")]
    [InlineData("another digest")]
    public async Task Import_ObjectIsNotWhatItWas_NothingIsWritten(string damage)
    {
        await using var node = await StartAsync(backing);
        byte[]? written = null;
        await using var agent = await FakeAgent.StartAsync(async context => written = await TakeAsync(context));
        var (sandbox, request) = await PrepareAsync(node, agent, RandomNumberGenerator.GetBytes(5_000_000));
        var path = Path.Combine(node.ObjectsDirectory, Key);
        switch (damage)
        {
            case "missing":
                File.Delete(path);
                break;
            case "shorter":
                await File.WriteAllBytesAsync(path, new byte[100]);
                break;
            case "damaged":
                await File.WriteAllBytesAsync(path, [.. (await File.ReadAllBytesAsync(path)).Select((b, i) => i == 7 ? (byte)~b : b)]);
                break;
            default:
                request = request with { Sha256 = new string('0', 64) };
                break;
        }

        var error = await ErrorAsync(PostAsync(node, sandbox, request));

        Assert.Equal((502, ErrorCodes.DownloadExportFailed), (error.Status, error.Code));
        Assert.Null(written);
    }

    [Theory]
    [InlineData(ErrorCodes.FileAlreadyExists, 409, ErrorCodes.FileAlreadyExists)]
    [InlineData(ErrorCodes.PathIsDirectory, 400, ErrorCodes.PathIsDirectory)]
    [InlineData(ErrorCodes.PathNotDirectory, 400, ErrorCodes.PathNotDirectory)]
    [InlineData(ErrorCodes.PathOutsideWorkspace, 400, ErrorCodes.PathOutsideWorkspace)]
    [InlineData(ErrorCodes.ParentDirectoryNotFound, 404, ErrorCodes.ParentDirectoryNotFound)]
    [InlineData(ErrorCodes.QuotaExceeded, 429, ErrorCodes.QuotaExceeded)]
    [InlineData(ErrorCodes.UploadChecksumMismatch, 502, ErrorCodes.DownloadExportFailed)]
    [InlineData("made_up", 500, ErrorCodes.RuntimeError)]
    public async Task Import_AgentRefuses_PassesTheDestinationsError(string code, int status, string expected)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context => FakeAgent.ErrorAsync(context, 400, code));
        var (sandbox, request) = await PrepareAsync(node, agent, [1, 2, 3]);

        var error = await ErrorAsync(PostAsync(node, sandbox, request));

        Assert.Equal((status, expected), (error.Status, error.Code));
    }

    [Theory]
    [InlineData("""{"path":"/workspace/a","type":"directory","sizeBytes":3,"modifiedAt":1}""")]
    [InlineData("""{"path":"/workspace/a","type":"file","sizeBytes":4,"modifiedAt":1}""")]
    [InlineData("""{"path":"/workspace/a","type":"file","sizeBytes":3,"modifiedAt":1,"sha256":"00"}""")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("")]
    public async Task Import_AgentTellsOfAnotherFile_IsARuntimeError(string answer)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            await context.Response.WriteAsync(answer);
        });
        var (sandbox, request) = await PrepareAsync(node, agent, [1, 2, 3]);

        var error = await ErrorAsync(PostAsync(node, sandbox, request));

        Assert.Equal((500, ErrorCodes.RuntimeError), (error.Status, error.Code));
    }

    [Fact]
    public async Task Import_SandboxEndsMidway_IsDestroyed()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        var (sandbox, request) = await PrepareAsync(node, agent, new byte[10_000_000]);
        var call = PostAsync(node, sandbox, request);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        await node.EndSandboxAsync(sandbox);

        var error = await ErrorAsync(call);
        Assert.Equal((410, ErrorCodes.SandboxDestroyed), (error.Status, error.Code));
    }

    private static async Task<(string Sandbox, ImportObject Request)> PrepareAsync(FileNode node, FakeAgent agent, byte[] content)
    {
        using var stream = new MemoryStream(content);
        var digest = await node.Get<IObjectStore>().PutAsync(Key, stream, content.Length, CancellationToken.None);
        var request = new ImportObject(Key, digest.Sha256, digest.Length, "in put", CreateParents: false, Overwrite: true);
        return (await node.AddSandboxAsync(agent.SocketPath), request);
    }

    private static Task<HttpResponseMessage> PostAsync(FileNode node, string sandbox, ImportObject request) =>
        node.Http.PostAsJsonAsync($"/internal/sandboxes/{sandbox}/imports", request);

    private static async Task<byte[]> TakeAsync(HttpContext context)
    {
        using var taken = new MemoryStream();
        await context.Request.Body.CopyToAsync(taken);
        var content = taken.ToArray();
        await context.Response.WriteAsJsonAsync(new
        {
            path = "/workspace/in put",
            type = "file",
            sizeBytes = content.Length,
            modifiedAt = 1,
            sha256 = Convert.ToHexStringLower(SHA256.HashData(content)),
        });
        return content;
    }
}
