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
        var traceId = ActivityTraceId.CreateRandom().ToHexString();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/sandboxes/{sandbox.Id}/commands/run")
        {
            Content = JsonContent.Create(new { command = "sleep 0.1" }),
        };
        request.Headers.Add("traceparent", $"00-{traceId}-{ActivitySpanId.CreateRandom().ToHexString()}-01");
        using var response = await stack.Http.SendAsync(request);
        response.EnsureSuccessStatusCode();

        var exec = await Eventually.GivesAsync(
            () => Task.FromResult(stack.Traces.Trace(traceId)),
            spans => spans.Any(s => s.Name == "agent.exec") && spans.Any(s => s.Name == "command") && spans.Any(s => s.Service == "CrowNest.Api"),
            "the collector has the trace", StackFixture.Patience);
        // From the agent's start of the process upwards, every span has its parent, up to the caller's own.
        var span = exec.Single(s => s.Name == "agent.exec");
        var way = new List<CollectedSpan> { span };
        while (exec.SingleOrDefault(s => s.Id == span.Parent) is { } parent)
        {
            way.Add(span = parent);
        }

        Assert.Equal("command", way[1].Name);
        Assert.Equal("CrowNest.Worker", way[1].Service);
        Assert.Equal("CrowNest.Api", way[^1].Service);
        Assert.Contains("commands/run", way[^1].Name, StringComparison.Ordinal);
    }
}
