using System.Net;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.Worker.Tests.Files;

/// <summary>A workspace is memory of its sandbox: when it is full there must be memory left to say so.</summary>
[Trait("Needs", "engine")]
public sealed class FullWorkspaceTests(BackingServices backing)
{
    [Fact]
    public async Task Write_ToAWorkspaceThatACommandHasFilled_IsRefusedAndTheOldContentStays()
    {
        await using var node = await TestNode.StartAsync(backing, ("DefaultMemoryMb", "192"));
        var (id, _) = await node.CreateAsync();
        await WriteAsync(node, id, "old"u8.ToArray(), HttpStatusCode.OK);

        var (exitCode, output) = await node.ExecAsync(id, "dd if=/dev/zero of=fill bs=64k 2>&1");
        Assert.Equal(1, exitCode);
        Assert.Contains("No space left on device", output, StringComparison.Ordinal);
        for (var i = 0; i < 10; i++)
        {
            Assert.Contains(
                ErrorCodes.QuotaExceeded, await WriteAsync(node, id, new byte[3 << 20], HttpStatusCode.TooManyRequests), StringComparison.Ordinal);
        }

        Assert.Equal("old", await node.Http.GetStringAsync(Content(id)));
        Assert.Equal((0, ""), await node.ExecAsync(id, "rm fill"));
        await WriteAsync(node, id, new byte[3 << 20], HttpStatusCode.OK);
    }

    private static Uri Content(string id) => new($"/internal/sandboxes/{id}/files/content?path=kept", UriKind.Relative);

    private static async Task<string> WriteAsync(TestNode node, string id, byte[] content, HttpStatusCode expected)
    {
        using var body = new ByteArrayContent(content);
        using var response = await node.Http.PutAsync(Content(id), body);
        var answer = await response.Content.ReadAsStringAsync();
        Assert.True(expected == response.StatusCode, $"{response.StatusCode}: {answer}");
        return answer;
    }
}
