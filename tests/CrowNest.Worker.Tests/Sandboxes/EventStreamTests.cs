using CrowNest.Testing;
using CrowNest.Worker.Tests.Runtime;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace CrowNest.Worker.Tests.Sandboxes;

[Trait("Needs", "engine")]
public sealed class EventStreamTests(BackingServices backing)
{
    /// <summary>An exception that leaves a background service ends the whole worker.</summary>
    [Fact]
    public async Task Events_BrokenInEveryWay_AreReadAgainAndTheWorkerStays()
    {
        Func<HttpContext, Task>[] faults =
        [
            context => context.Response.WriteAsync("no JSON at all\n"),
            context => context.Response.WriteAsync("null\n{}\n"),
            context => context.Response.WriteAsync("""{"Action":"die","Actor":{"ID":7}}"""),
            context =>
            {
                context.Response.StatusCode = StatusCodes.Status500InternalServerError;
                return context.Response.WriteAsync("""{"message":"out of everything"}""");
            },
            async context =>
            {
                await context.Response.WriteAsync("""{"Action":"d""");
                await context.Response.Body.FlushAsync();
                context.Abort();
            },
            context =>
            {
                context.Features.Get<IHttpResponseFeature>()!.Headers.ContentType = "nonsense; charset=nothing";
                return Task.CompletedTask;
            },
        ];
        var opened = 0;
        await using var engine = await FakeEngine.StartAsync(async (context, path) =>
        {
            if (path != "/events" || Interlocked.Increment(ref opened) > faults.Length)
            {
                return false;
            }

            await faults[opened - 1](context);
            return true;
        });
        await using var node = await TestNode.StartAsync(backing, ("EngineSocket", engine.SocketPath));

        await Eventually.HoldsAsync(
            () => Volatile.Read(ref opened) > faults.Length, "the stream is opened again", TimeSpan.FromSeconds(30));

        Assert.False(node.Get<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested);
        using var health = await node.Http.GetAsync("/healthz");
        Assert.True(health.IsSuccessStatusCode);
    }
}
