using CrowNest.Platform.Commands;
using CrowNest.Worker.Commands.Output;
using CrowNest.Worker.Sandboxes;

namespace CrowNest.Worker.Commands;

/// <summary>What every <see cref="CommandRun"/> works with.</summary>
internal sealed record CommandRunServices
{
    public required CommandStore Commands { get; init; }
    public required LiveSandboxes Sandboxes { get; init; }
    public required TimeProvider Clock { get; init; }
    public required WorkerRetries Retries { get; init; }
    public required ILogger Logger { get; init; }

    /// <summary>Opens the output of a command, with what a former process left of it.</summary>
    public required Func<string, OutputCapture, CommandOutput> OpenOutput { get; init; }

    /// <summary>Collects what a final command was to be collected of, and returns the row that stands then.</summary>
    public required Func<CommandRow, LiveSandbox, CancellationToken, Task<CommandRow>> Collect { get; init; }

    /// <summary>Takes over the output of a command whose row is final.</summary>
    public required Action<CommandRow, CommandOutput, LiveSandbox> Finished { get; init; }
}
