using System.Buffers;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Storage;
using CommandStatus = CrowNest.Contracts.CommandStatus;
using RedisException = StackExchange.Redis.RedisException;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// What a lost node's command had printed is still in Redis: keeps it as the node would have done at the command's end, and tells the
/// followers that nothing more comes. Also without this they end, but later and without a lasting log.
/// </summary>
internal sealed partial class LostOutputRecovery(
    CommandStore commands, ICommandLogReader reader, CommandLogWriter writer, IObjectStore objects, ILogger<LostOutputRecovery> logger)
{
    /// <summary>Saves a killed command's output.</summary>
    public async Task SaveAsync(string commandId, CancellationToken cancellationToken)
    {
        if (await commands.FindAsync(commandId, cancellationToken) is not { State: CommandStatus.Killed, Stdout: null } row)
        {
            return;
        }

        try
        {
            using var log = new MemoryStream();
            var captured = await CollectAsync(row, log, cancellationToken);
            await commands.SaveOutputAsync(commandId, captured, cancellationToken);
            await StoreAsync(row, log, cancellationToken);
            await writer.EndAsync(commandId, captured.LastSeq, CommandLogWriter.Linger);
        }
        catch (Exception e) when (e is LogUnavailableException or RedisException or TimeoutException)
        {
            LogLost(commandId, e);
        }
    }

    /// <summary>The retained records as the log object holds them, and the prefix of each stream as the row holds it.</summary>
    private async Task<CommandEnd> CollectAsync(CommandRow row, MemoryStream log, CancellationToken cancellationToken)
    {
        var stdout = new Capture();
        var stderr = new Capture();
        var oldest = 0L;
        var last = 0L;
        var header = new byte[LogRecordHeader.Size];
        // Read as if it ran still: of a killed one the reader expects that its node has more to say.
        await foreach (var record in reader.ReadAllAsync(row with { State = CommandStatus.Running }, cancellationToken))
        {
            new LogRecordHeader(record.Payload.Length, record.Seq, record.Stream, record.CreatedAt, AgentOffset: 0).Write(header);
            log.Write(header);
            log.Write(record.Payload.Span);
            (record.Stream == LogRecord.Stderr ? stderr : stdout).Add(record.Payload.Span);
            oldest = oldest == 0 ? record.Seq : oldest;
            last = record.Seq;
        }

        return new CommandEnd
        {
            State = row.State,
            FinishedAt = row.FinishedAt!.Value,
            Stdout = stdout.Bytes,
            StdoutTruncated = stdout.Truncated || oldest > 1,
            Stderr = stderr.Bytes,
            StderrTruncated = stderr.Truncated || oldest > 1,
            OldestSeq = oldest,
            LastSeq = last,
        };
    }

    private async Task StoreAsync(CommandRow row, MemoryStream log, CancellationToken cancellationToken)
    {
        if (log.Length == 0)
        {
            return;
        }

        try
        {
            log.Position = 0;
            var key = ObjectKey.CommandLog(row.OrgId, row.Id);
            await objects.PutAsync(key, log, log.Length, cancellationToken);
            await commands.SaveLogObjectAsync(row.Id, key, cancellationToken);
        }
        catch (ObjectStoreException e)
        {
            LogNotStored(row.Id, e);
        }
    }

    [LoggerMessage(2120, LogLevel.Warning, "Command {CommandId}: what it printed before its node was lost cannot be saved.")]
    private partial void LogLost(string commandId, Exception exception);

    [LoggerMessage(2121, LogLevel.Warning, "Command {CommandId}: its log cannot be stored; the captured output is kept.")]
    private partial void LogNotStored(string commandId, Exception exception);

    private sealed class Capture
    {
        private readonly ArrayBufferWriter<byte> _bytes = new();

        public bool Truncated { get; private set; }

        public byte[] Bytes => _bytes.WrittenSpan.ToArray();

        public void Add(ReadOnlySpan<byte> payload)
        {
            var room = Limits.InlineOutputBytes - _bytes.WrittenCount;
            Truncated |= payload.Length > room;
            _bytes.Write(payload[..Math.Min(room, payload.Length)]);
        }
    }
}
