using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Commands;

/// <summary>What a row says of the several ways in which a command ends (docs/reference/api.md 5.1).</summary>
internal static class CommandEnds
{
    /// <summary>By what the agent tells. Its times are a sandbox's word: they are kept between the command's acceptance and now.</summary>
    public static CommandEnd FromAgent(AgentCommandState state, DateTimeOffset createdAt, DateTimeOffset now)
    {
        var finishedAt = Within(state.EndedAt ?? now.ToUnixTimeMilliseconds(), createdAt, now);
        var end = new CommandEnd
        {
            State = CommandStatus.Exited,
            StartedAt = Within(state.StartedAt, createdAt, finishedAt),
            FinishedAt = finishedAt,
        };
        var signal = state.TerminationSignal is "SIGTERM" or "SIGKILL" ? state.TerminationSignal : null;
        return state.EndReason switch
        {
            "exited" when state.ExitCode is { } code => end with { ExitCode = code },
            "timed_out" => end with { State = CommandStatus.TimedOut, TerminationSignal = signal },
            "canceled" => end with
            {
                State = CommandStatus.Canceled,
                TerminationSignal = signal,
                CancelMode = state.CancelMode == CancelMode.Force ? CancelMode.Force : CancelMode.Graceful,
                CanceledAt = finishedAt,
            },
            _ => end with
            {
                State = CommandStatus.Failed,
                FailureCode = ErrorCodes.RuntimeError,
                FailureMessage = "The sandbox did not say how the command ended.",
            },
        };
    }

    /// <summary>It could not run, or failed abnormally.</summary>
    public static CommandEnd Failed(string code, string message, DateTimeOffset now) => new()
    {
        State = CommandStatus.Failed,
        FinishedAt = now,
        FailureCode = code,
        FailureMessage = message,
    };

    /// <summary>
    /// The agent refused to start it. The codes of a wrong <c>cwd</c> are the caller's; anything else is ours, and its text stays inside.
    /// </summary>
    public static CommandEnd Refused(AgentErrorException refusal, string cwd, DateTimeOffset now) => refusal.Code switch
    {
        ErrorCodes.FileNotFound => Failed(refusal.Code, $"The working directory {cwd} does not exist.", now),
        ErrorCodes.PathNotDirectory => Failed(refusal.Code, $"The working directory {cwd} is not a directory.", now),
        ErrorCodes.PathOutsideWorkspace => Failed(refusal.Code, $"The working directory {cwd} is outside {Limits.Workspace}.", now),
        ErrorCodes.NotFound => Failed(ErrorCodes.RuntimeError, "The sandbox no longer knows the command.", now),
        _ => Failed(ErrorCodes.RuntimeError, "The sandbox could not start the command.", now),
    };

    private static DateTimeOffset Within(long unixMs, DateTimeOffset from, DateTimeOffset to)
    {
        var latest = to.ToUnixTimeMilliseconds();
        return DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(unixMs, Math.Min(from.ToUnixTimeMilliseconds(), latest), latest));
    }
}
