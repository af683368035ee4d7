using System.Net;
using CrowNest.Worker.Containers;
using Docker.DotNet.Models;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Xunit;

namespace CrowNest.Worker.Tests.Runtime;

/// <summary>Engines that are too old, silent, broken or busy.</summary>
public sealed class EngineFaultTests
{
    [Fact]
    public async Task Engine_TooOld_IsRefusedByName()
    {
        await using var fake = await FakeEngine.StartAsync((context, path) => AnswerAsync(
            context, path == "/version", """{"Version":"19.03.15","ApiVersion":"1.40","MinAPIVersion":"1.12"}"""));
        using var engine = Client(fake);

        var exception = await Assert.ThrowsAsync<EngineException>(() => engine.PingAsync(CancellationToken.None));

        Assert.Contains("19.03.15 speaks API 1.40; 1.41 (Docker 20.10) or newer is needed", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Engine_NoLongerSpeaksOurVersion_IsAskedForItsOldest()
    {
        var asked = "";
        await using var fake = await FakeEngine.StartAsync((context, path) =>
        {
            asked = path == "/_ping" ? context.Request.Path.Value! : asked;
            return AnswerAsync(context, path == "/version", """{"Version":"29.0.0","ApiVersion":"1.52","MinAPIVersion":"1.44"}""");
        });
        using var engine = Client(fake);

        await engine.PingAsync(CancellationToken.None);

        Assert.Equal("/v1.44/_ping", asked);
    }

    [Theory]
    [InlineData("/version")]
    [InlineData("/containers/json")]
    public async Task Engine_DoesNotAnswer_IsGivenUpAfterTheLimit(string silent)
    {
        await using var fake = await FakeEngine.StartAsync(
            async (context, path) => path == silent && await FakeEngine.HangAsync(context));
        using var engine = Client(fake, TimeSpan.FromMilliseconds(200));

        var exception = await Assert.ThrowsAsync<EngineException>(() => engine.ListContainersAsync("label", CancellationToken.None));

        Assert.Contains("did not answer within 0.2 s: containers/json", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Engine_AnswersHalf_IsGivenUpAfterTheLimit()
    {
        await using var fake = await FakeEngine.StartAsync(async (context, path) =>
        {
            if (path != "/containers/json")
            {
                return false;
            }

            await context.Response.WriteAsync("[{");
            await context.Response.Body.FlushAsync();
            return await FakeEngine.HangAsync(context);
        });
        using var engine = Client(fake, TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAsync<EngineException>(() => engine.ListContainersAsync("label", CancellationToken.None));
    }

    [Fact]
    public async Task Events_NotEvenBegun_AreGivenUpAfterTheLimit()
    {
        await using var fake = await FakeEngine.StartAsync((_, _) => Task.FromResult(false));
        using var engine = Client(fake, TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAsync<EngineException>(() => ReadEventsAsync(engine));
    }

    [Fact]
    public async Task Events_HaveBegun_HaveNoLimit()
    {
        using var over = new CancellationTokenSource();
        await using var fake = await FakeEngine.StartAsync(async (context, path) =>
        {
            if (path != "/events")
            {
                return false;
            }

            await context.Response.Body.FlushAsync();
            return await FakeEngine.HangAsync(context);
        });
        var limit = TimeSpan.FromSeconds(2);
        using var engine = Client(fake, limit);
        var connected = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var reading = ReadEventsAsync(engine, connected, over.Token);
        await connected.Task;

        // A call that runs into the limit, begun when the stream was open, ends before the stream does.
        await using var silent = await FakeEngine.StartAsync((_, _) => Task.FromResult(false));
        using var other = Client(silent, limit);
        await Assert.ThrowsAsync<EngineException>(() => ReadEventsAsync(other));
        Assert.False(reading.IsCompleted);
        await over.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
    }

    [Theory]
    [InlineData("no JSON at all\n")]
    [InlineData("null\n")]
    [InlineData("{}\n")]
    [InlineData("""{"Action":"die","Actor":{"ID":"abc"}}""")]
    [InlineData("""{"Action":{},"Actor":7}""")]
    [InlineData("")]
    public async Task Events_Garbage_IsTheEnginesFailure(string garbage)
    {
        await using var fake = await FakeEngine.StartAsync((context, path) => AnswerAsync(context, path == "/events", garbage));
        using var engine = Client(fake);

        await Assert.ThrowsAsync<EngineException>(() => ReadEventsAsync(engine));
    }

    [Theory]
    [InlineData("no JSON at all")]
    [InlineData("""{"Id":""")]
    public async Task Answer_Garbage_IsTheEnginesFailure(string garbage)
    {
        await using var fake = await FakeEngine.StartAsync((context, path) => AnswerAsync(context, path == "/containers/json", garbage));
        using var engine = Client(fake);

        var exception = await Assert.ThrowsAsync<EngineException>(() => engine.ListContainersAsync("label", CancellationToken.None));

        Assert.Contains(fake.SocketPath, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"message":"no space left"}""", "no space left")]
    [InlineData("a proxy's own words", "500 a proxy's own words")]
    [InlineData("", "500")]
    public async Task Refusal_ComesInTheEnginesWords(string body, string expected)
    {
        await using var fake = await FakeEngine.StartAsync(async (context, path) =>
        {
            context.Response.StatusCode = path == "/containers/create" ? 500 : 200;
            return await AnswerAsync(context, path == "/containers/create", body);
        });
        using var engine = Client(fake);

        var exception = await Assert.ThrowsAsync<EngineException>(
            () => engine.CreateContainerAsync(new CreateContainerParameters(), CancellationToken.None));

        Assert.Equal((expected, HttpStatusCode.InternalServerError), (exception.Message, exception.Status));
    }

    /// <summary>A pool that refills keeps many calls open, and the stream of events is one more.</summary>
    [Fact]
    public async Task Calls_ManyAtOnce_DoNotWaitForEachOther()
    {
        const int AtOnce = 40;
        var arrived = 0;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var fake = await FakeEngine.StartAsync(async (_, path) =>
        {
            if (path == "/_ping" && Interlocked.Increment(ref arrived) == AtOnce)
            {
                all.SetResult();
            }

            await (path == "/_ping" ? all.Task : Task.CompletedTask);
            return false;
        });
        using var engine = Client(fake, TimeSpan.FromSeconds(20));

        await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => engine.PingAsync(CancellationToken.None)));

        Assert.Equal(AtOnce, arrived);
    }

    [Fact]
    public async Task Remove_SomeoneElseIsRemovingIt_WaitsUntilItIsGone()
    {
        var asked = 0;
        await using var fake = await FakeEngine.StartAsync((context, path) =>
        {
            var isRemoval = context.Request.Method == HttpMethod.Delete.Method;
            var isGone = path == "/containers/abc/json" && ++asked == 3;
            context.Response.StatusCode = isRemoval ? 409 : isGone ? 404 : 200;
            return AnswerAsync(
                context, path.StartsWith("/containers/abc", StringComparison.Ordinal),
                """{"Id":"abc","State":{},"message":"already in progress"}""");
        });
        using var engine = Client(fake);

        await engine.RemoveContainerAsync("abc", CancellationToken.None);

        Assert.Equal(3, asked);
    }

    private static EngineClient Client(FakeEngine fake, TimeSpan? limit = null) =>
        new(Options.Create(new WorkerOptions { EngineSocket = fake.SocketPath })) { CallLimit = limit ?? TimeSpan.FromMinutes(2) };

    private static async Task<bool> AnswerAsync(HttpContext context, bool isAsked, string body)
    {
        if (isAsked)
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(body);
        }

        return isAsked;
    }

    private static async Task ReadEventsAsync(
        EngineClient engine, TaskCompletionSource? connected = null, CancellationToken cancellationToken = default)
    {
        await foreach (var happened in engine.WatchContainersAsync("label", OnConnected, cancellationToken))
        {
            Assert.Fail($"{happened.Action} was no event.");
        }

        Task OnConnected()
        {
            connected?.SetResult();
            return Task.CompletedTask;
        }
    }
}
