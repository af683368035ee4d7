using CrowNest.Platform.Commands.Logs;

namespace CrowNest.Worker.Commands.Output;

/// <summary>The parts through which one command's output goes: chunker, spool, publisher, and the pump that drives them.</summary>
internal sealed class CommandOutput : IAsyncDisposable
{
    private readonly OutputChunker _chunker;

    private CommandOutput(CommandSpool spool, OutputChunker chunker, LogPublisher publisher, OutputTap tap, OutputPump pump)
    {
        Spool = spool;
        Tap = tap;
        _chunker = chunker;
        Publisher = publisher;
        Pump = pump;
    }

    public CommandSpool Spool { get; }
    public LogPublisher Publisher { get; }
    public OutputTap Tap { get; }
    public OutputPump Pump { get; }

    public static CommandOutput Open(
        string commandId, string spoolFolder, OutputCapture capture, CommandLogWriter writer, OutputTaps taps, TimeProvider clock,
        ILogger logger)
    {
        var spool = CommandSpool.Open(spoolFolder, capture);
        var isNew = spool.LastSeq == 0 && spool.ResumeOffset == 0;
        var chunker = new OutputChunker(clock, capture);
        if (!isNew)
        {
            chunker.Restore(spool.LastSeq, spool.ResumeOffset, spool.Carry(LogRecord.Stdout), spool.Carry(LogRecord.Stderr));
        }

        var publisher = new LogPublisher(commandId, spool, writer, clock, logger, isNew);
        if (!isNew)
        {
            // What the former process did not get out any more.
            publisher.Notify();
        }

        var tap = taps.Bind(commandId, spool);
        return new CommandOutput(
            spool, chunker, publisher, tap, new OutputPump(commandId, spool, chunker, publisher, tap, clock, logger));
    }

    public async ValueTask DisposeAsync()
    {
        Tap.Unbind(Spool);
        await Publisher.DisposeAsync();
        Spool.Dispose();
        _chunker.Dispose();
    }
}
