using CrowNest.Contracts;

namespace CrowNest.Dashboard.Tests;

/// <summary>A command whose output the test writes while somebody follows it.</summary>
internal sealed class FakeCommand(string owner, Command command)
{
    private readonly Lock _lock = new();
    private readonly List<CommandLogChunk> _chunks = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource _connection = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Owner => owner;

    public string Id => Command.Id;

    public Command Command { get; private set; } = command;

    /// <summary>Completes with the next chunk or the end.</summary>
    public Task Changed
    {
        get
        {
            lock (_lock)
                return _changed.Task;
        }
    }

    /// <summary>Completes when the test breaks what is connected.</summary>
    public Task Connection
    {
        get
        {
            lock (_lock)
                return _connection.Task;
        }
    }

    public FakeCommand Write(string data, string stream = OutputStream.Stdout)
    {
        lock (_lock)
        {
            _chunks.Add(new CommandLogChunk(Command.Id, _chunks.Count + 1, stream, data, DateTimeOffset.UtcNow));
            Signal();
        }

        return this;
    }

    public FakeCommand Exit(int exitCode) => End(current => current with { Status = CommandStatus.Exited, ExitCode = exitCode });

    public FakeCommand End(Func<Command, Command> change)
    {
        lock (_lock)
        {
            Command = change(Command) with { FinishedAt = DateTimeOffset.UtcNow, DurationMs = 1234 };
            Signal();
        }

        return this;
    }

    public void BreakConnections()
    {
        lock (_lock)
        {
            var broken = _connection;
            _connection = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            broken.SetResult();
        }
    }

    public IReadOnlyList<CommandLogChunk> After(long seq)
    {
        lock (_lock)
            return [.. _chunks.Skip((int)seq)];
    }

    private void Signal()
    {
        var changed = _changed;
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        changed.SetResult();
    }
}
