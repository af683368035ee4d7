using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Commands;

/// <summary><c>GET /v1/commands/{id}/stream</c> (docs/reference/api.md 5.6): what is retained, then live, then the final command.</summary>
internal sealed class CommandStreaming(
    CommandStore store, ICommandLogReader logs, IOptions<ApiOptions> options, IHostApplicationLifetime lifetime, TimeProvider time)
{
    public async Task StreamAsync(string commandId, Caller caller, HttpContext context)
    {
        var aborted = context.RequestAborted;
        var row = await store.FindAsync(caller.Ownership, commandId, aborted) ?? throw ApiException.NotFound("Command");
        var afterSeq = Paging.ReadAfterSeq(context.Request) ?? SseWriter.ReadLastEventId(context.Request);
        if (afterSeq is { } after && await CommandLogs.Reading(() => logs.GetRangeAsync(row, aborted)) is var range && range.IsGapAfter(after))
        {
            throw CommandLogs.GapAfter(range);
        }

        // A stopping process breaks the stream off, unfinished, so that the client resumes it elsewhere (H6).
        using var stopping = lifetime.ApplicationStopping.Register(context.Abort);
        await using var events = await SseWriter.OpenAsync(context, Heartbeat, options.Value.HeartbeatInterval, time);
        try
        {
            await foreach (var item in logs.FollowAsync(row, afterSeq, aborted))
            {
                await WriteAsync(events, commandId, item, aborted);
            }
        }
        catch (LogUnavailableException)
        {
            await WriteErrorAsync(events, ErrorCodes.RuntimeError, CommandLogs.LogUnavailable, aborted);
        }
    }

    private async Task WriteAsync(SseWriter events, string commandId, LogEvent item, CancellationToken cancellationToken)
    {
        switch (item)
        {
            case LogEvent.Chunk { Record: var record }:
                var chunk = record.ToChunk(commandId);
                var log = new CommandStreamEvent
                {
                    Type = CommandStreamEventType.Log,
                    Seq = chunk.Seq,
                    Stream = chunk.Stream,
                    Data = chunk.Data,
                    CreatedAt = chunk.CreatedAt,
                };
                await events.WriteAsync(log.Type, log.Seq, log, cancellationToken);
                break;
            case LogEvent.Gap { Range: var range }:
                await WriteErrorAsync(events, ErrorCodes.StreamGap, CommandLogs.GapAfter(range).Message, cancellationToken);
                break;
            case LogEvent.End:
                var row = await store.FindAsync(commandId, cancellationToken);
                var terminal = new CommandStreamEvent
                {
                    Type = CommandStreamEventType.Terminal,
                    Command = row!.ToCommand(),
                    CreatedAt = time.GetUtcNow(),
                };
                await events.WriteAsync(terminal.Type, null, terminal, cancellationToken);
                break;
            default:
                break;
        }
    }

    private Task WriteErrorAsync(SseWriter events, string code, string message, CancellationToken cancellationToken) => events.WriteAsync(
        CommandStreamEventType.Error, null,
        new CommandStreamEvent { Type = CommandStreamEventType.Error, Code = code, Message = message, CreatedAt = time.GetUtcNow() },
        cancellationToken);

    private static object Heartbeat(DateTimeOffset now) =>
        new CommandStreamEvent { Type = CommandStreamEventType.Heartbeat, CreatedAt = now };
}
