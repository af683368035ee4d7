using System.Diagnostics;
using System.Net.Http.Json;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.EndToEnd;

[Collection(StackFixture.Collection)]
public sealed class TracingTests(StackFixture stack)
{
    [Fact]
    public async Task RunCommand_WithACallersTrace_IsFollowedThroughApiWorkerAndAgent()
    {
        var sandbox = await stack.CreateAsync();
        var (traceId, callerId) = (ActivityTraceId.CreateRandom().ToHexString(), ActivitySpanId.CreateRandom().ToHexString());
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/sandboxes/{sandbox.Id}/commands/run")
        {
            Content = JsonContent.Create(new { command = "sleep 0.1" }),
        };
        request.Headers.Add("traceparent", $"00-{traceId}-{callerId}-01");
        using var response = await stack.Http.SendAsync(request);
        response.EnsureSuccessStatusCode();

        // Each service sends its spans when it likes, and a span only when it has ended: the API's own comes last.
        var way = await Eventually.GivesAsync(
            () => Task.FromResult(WayUp(stack.Traces.Trace(traceId))), spans => spans is [.., { } last] && last.Parent == callerId,
            "every span from the agent's start of the process upwards has its parent, up to the caller's own", StackFixture.Patience);

        Assert.Equal(("command", "worker"), (way[1].Name, way[1].Service));
        Assert.Equal("api", way[^1].Service);
        Assert.Contains("commands/run", way[^1].Name, StringComparison.Ordinal);
    }

    /// <summary>The span of the agent's start of the process and those above it, as far as they are known.</summary>
    private static List<CollectedSpan> WayUp(IReadOnlyCollection<CollectedSpan> spans)
    {
        var way = new List<CollectedSpan>();
        for (var span = spans.SingleOrDefault(s => s.Name == "agent.exec"); span is not null; span = spans.SingleOrDefault(s => s.Id == span.Parent))
        {
            way.Add(span);
        }

        return way;
    }
}
