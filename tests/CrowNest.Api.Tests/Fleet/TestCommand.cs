using System.Globalization;
using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Storage;

namespace CrowNest.Api.Tests.Fleet;

/// <summary>
/// A command of a <see cref="TestWorker"/>. Its text is steps joined by <c>;</c>: <c>out TEXT</c>, <c>err TEXT</c>, <c>exit N</c>,
/// <c>fail CODE</c>, <c>timeout</c>, <c>hang</c> (the test goes on with it by the methods below). Anything else exits with 0.
/// </summary>
internal sealed class TestCommand
{
    private readonly TestWorker _worker;
    private readonly Lazy<Task> _launch;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<LogRecord> _records = [];

    public TestCommand(TestWorker worker, StartCommand start)
    {
        (_worker, Start) = (worker, start);
        _launch = new(LaunchOnceAsync);
    }

    public StartCommand Start { get; }

    public Task Ended => _ended.Task;

    /// <summary>A second request for the same command starts nothing.</summary>
    public Task LaunchAsync() => _launch.Value;

    /// <summary>Prints one record.</summary>
    public async Task WriteAsync(string text, byte stream = LogRecord.Stdout)
    {
        var record = new LogRecord
        {
            Seq = _records.Count + 1,
            Stream = stream,
            CreatedAt = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            Payload = Encoding.UTF8.GetBytes(text),
        };
        _records.Add(record);
        await _worker.Writer.AppendAsync(Start.CommandId, [record]);
    }

    public Task ExitAsync(int code) => FinishAsync(CommandStatus.Exited, end => end with { ExitCode = code });

    public Task CancelAsync(string mode) => FinishAsync(CommandStatus.Canceled, end => end with
    {
        CancelMode = mode,
        CanceledAt = DateTimeOffset.UtcNow,
        TerminationSignal = mode == CancelMode.Force ? "SIGKILL" : "SIGTERM",
    });

    /// <summary>Its sandbox is gone; the row says so already.</summary>
    public async Task KilledAsync()
    {
        await _worker.Commands.SaveOutputAsync(Start.CommandId, End(CommandStatus.Killed), CancellationToken.None);
        await _worker.Writer.EndAsync(Start.CommandId, _records.Count, CommandLogWriter.Linger);
        _ended.TrySetResult();
    }

    /// <summary>Puts the log where a finished one lasts, and takes it out of Redis.</summary>
    public async Task MoveLogToObjectAsync(string orgId)
    {
        var key = ObjectKey.CommandLog(orgId, Start.CommandId);
        var path = Path.Combine(_worker.ObjectsDirectory, key);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await using (var file = File.Create(path))
        {
            var header = new byte[LogRecordHeader.Size];
            foreach (var record in _records)
            {
                new LogRecordHeader(record.Payload.Length, record.Seq, record.Stream, record.CreatedAt, 0).Write(header);
                await file.WriteAsync(header);
                await file.WriteAsync(record.Payload);
            }
        }

        await _worker.Commands.SaveLogObjectAsync(Start.CommandId, key, CancellationToken.None);
        await _worker.Writer.DeleteAsync(Start.CommandId);
    }

    private async Task LaunchOnceAsync()
    {
        if (Start.Command.StartsWith("fail ", StringComparison.Ordinal))
        {
            await FinishAsync(CommandStatus.Failed, end => end with { FailureCode = Start.Command[5..], FailureMessage = "It cannot be used." });
            return;
        }

        await _worker.Commands.MarkRunningAsync(Start.CommandId, DateTimeOffset.UtcNow, CancellationToken.None);
        _ = Task.Run(PlayAsync);
    }

    private async Task PlayAsync()
    {
        foreach (var step in Start.Command.Split(';', StringSplitOptions.TrimEntries))
        {
            var (verb, rest) = step.Split(' ', 2) is [var v, var r] ? (v, r) : (step, "");
            switch (verb)
            {
                case "out":
                    await WriteAsync(rest + "\n");
                    break;
                case "err":
                    await WriteAsync(rest + "\n", LogRecord.Stderr);
                    break;
                case "hang":
                    return;
                case "timeout":
                    await FinishAsync(CommandStatus.TimedOut, end => end with { TerminationSignal = "SIGKILL" });
                    return;
                case "exit":
                    await ExitAsync(int.Parse(rest, CultureInfo.InvariantCulture));
                    return;
                default:
                    break;
            }
        }

        await ExitAsync(0);
    }

    private async Task FinishAsync(string state, Func<CommandEnd, CommandEnd> how)
    {
        await _worker.Commands.FinishAsync(Start.CommandId, how(End(state)), CancellationToken.None);
        await _worker.Writer.EndAsync(Start.CommandId, _records.Count, null);
        _ended.TrySetResult();
    }

    private CommandEnd End(string state) => new()
    {
        State = state,
        FinishedAt = DateTimeOffset.UtcNow,
        Stdout = Captured(LogRecord.Stdout),
        Stderr = Captured(LogRecord.Stderr),
        OldestSeq = Math.Min(1, _records.Count),
        LastSeq = _records.Count,
    };

    private byte[] Captured(byte stream) => [.. _records.Where(r => r.Stream == stream).SelectMany(r => r.Payload.ToArray())];
}
