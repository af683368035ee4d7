using System.Buffers;
using System.Globalization;
using System.Net;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace CrowNest.Worker.Files;

/// <summary>
/// Passes a file request on to its sandbox's agent and the answer back (docs/protocols.md 3), both as streams: what one side does not take,
/// the other does not send. Nothing of an agent's answer passes unchecked, and an answer that breaks off is broken off here too.
/// </summary>
internal sealed partial class FileRelay(LiveSandboxes sandboxes, AgentFailures failures, TimeProvider clock, ILogger<FileRelay> logger)
{
    /// <summary>Longest JSON answer; 10 000 entries with names of 255 bytes stay far below.</summary>
    private const long MaxJsonBytes = 64 * 1024 * 1024;
    private const int BlockBytes = 64 * 1024;

    /// <summary>How long an unread body is read on, so that a caller that only listens after sending hears why it is not wanted.</summary>
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(30);

    /// <summary>How long an agent may neither take nor give a byte of a body.</summary>
    internal TimeSpan Stall { get; set; } = TimeSpan.FromSeconds(60);

    public async Task RelayAsync(FileRoute route, string sandboxId, HttpContext context)
    {
        // The API is the caller, and passes on how slow its own one is.
        if (context.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } requestRate)
        {
            requestRate.MinDataRate = null;
        }

        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } responseRate)
        {
            responseRate.MinDataRate = null;
        }

        try
        {
            await RelayCheckedAsync(route, sandboxId, context);
        }
        catch (Exception exception) when (context.Response.HasStarted)
        {
            // Half an answer must not look like a whole one.
            LogBrokenOff(exception, sandboxId, route.Method.Method, route.Path);
            context.Abort();
        }
        catch (WorkerException) when (route.HasBody)
        {
            await DrainAsync(context);
            throw;
        }
    }

    private async Task RelayCheckedAsync(FileRoute route, string sandboxId, HttpContext context)
    {
        if (!sandboxes.TryGet(sandboxId, out var sandbox))
        {
            throw WorkerException.NotFound($"Sandbox {sandboxId} is not on this node.");
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, sandbox.Ended);
        using var patience = new AgentTimeouts(clock, ending.Token);
        try
        {
            await PassAsync(route, sandbox.Agent, context, patience);
        }
        catch (AgentErrorException refusal)
        {
            throw AgentFailures.Refused(refusal);
        }
        catch (AgentUnavailableException failure)
        {
            throw await failures.LostAsync(sandbox, failure);
        }
        catch (OperationCanceledException exception) when (sandbox.Ended.IsCancellationRequested)
        {
            throw AgentFailures.Gone(sandboxId, exception);
        }
    }

    private async Task PassAsync(FileRoute route, AgentClient agent, HttpContext context, AgentTimeouts patience)
    {
        var content = route.HasBody
            ? new RelayedContent(
                context.Request.Body, context.Request.ContentLength,
                route.MaxBodyBytes is null ? "application/octet-stream" : "application/json", Stall, route.Within, patience)
            : null;
        using var request = new HttpRequestMessage(route.Method, AgentUri(route.Path, context.Request.QueryString)) { Content = content };
        patience.Expect(route.Within);
        HttpResponseMessage answer;
        try
        {
            answer = await agent.OpenAsync(request, patience);
        }
        catch (AgentUnavailableException) when (content?.SourceFailure is { } failure)
        {
            // Not the agent's fault: the caller broke off.
            throw new OperationCanceledException("The request's body broke off.", failure);
        }

        using (answer)
        {
            await AnswerAsync(route, answer, context, patience);
        }
    }

    private async Task AnswerAsync(FileRoute route, HttpResponseMessage answer, HttpContext context, AgentTimeouts patience)
    {
        if (answer.StatusCode != (route.Answer == FileAnswer.Nothing ? HttpStatusCode.NoContent : HttpStatusCode.OK))
        {
            throw new AgentUnavailableException($"The agent breaks the protocol: {(int)answer.StatusCode}.") { BrokeProtocol = true };
        }

        var response = context.Response;
        switch (route.Answer)
        {
            case FileAnswer.Nothing:
                response.StatusCode = StatusCodes.Status204NoContent;
                return;
            case FileAnswer.Json:
                response.ContentType = "application/json";
                await CopyAsync(answer, response, MaxJsonBytes, eachRead: null, patience);
                return;
            case FileAnswer.Content:
                var head = FileHead.Read(answer, MaxBytes(context.Request));
                head.Write(response.Headers);
                response.ContentType = "application/octet-stream";
                await CopyAsync(answer, response, head.SizeBytes, Stall, patience);
                return;
            default:
                response.ContentType = "application/gzip";
                await CopyAsync(answer, response, long.MaxValue, Stall, patience);
                return;
        }
    }

    private static async Task CopyAsync(
        HttpResponseMessage answer, HttpResponse response, long maxBytes, TimeSpan? eachRead, AgentTimeouts patience)
    {
        await using var body = await AgentBody.OpenAsync(answer, maxBytes, eachRead, patience);
        var writer = response.BodyWriter;
        if (eachRead is not null)
        {
            await response.StartAsync(patience.Token);
        }

        int read;
        while ((read = await body.ReadAsync(writer.GetMemory(BlockBytes), patience.Token)) > 0)
        {
            writer.Advance(read);
            if ((await writer.FlushAsync(patience.Token)).IsCompleted)
            {
                throw new OperationCanceledException("The caller is gone.");
            }
        }
    }

    /// <summary>The query goes on as it came: to parse and write it again could change it.</summary>
    private static Uri AgentUri(string path, QueryString query) =>
        new($"http://agent{path}{query.Value}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });

    private static long MaxBytes(HttpRequest request) =>
        long.TryParse(request.Query["maxBytes"], NumberStyles.None, CultureInfo.InvariantCulture, out var max) ? max : long.MaxValue;

    private async Task DrainAsync(HttpContext context)
    {
        var block = ArrayPool<byte>.Shared.Rent(BlockBytes);
        using var limit = new CancellationTokenSource(DrainLimit, clock);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, context.RequestAborted);
        try
        {
            while (await context.Request.Body.ReadAsync(block, both.Token) > 0)
            {
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            LogNotDrained(exception, context.Request.Path);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    [LoggerMessage(6301, LogLevel.Warning, "{SandboxId}: the answer to {Method} {Route} is broken off")]
    private partial void LogBrokenOff(Exception exception, string sandboxId, string method, string route);

    [LoggerMessage(6302, LogLevel.Debug, "The body of {Path} was not read to its end")]
    private partial void LogNotDrained(Exception exception, string path);
}
