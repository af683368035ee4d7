using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Running;

internal static partial class RunnerLog
{
    [LoggerMessage(1, LogLevel.Critical, "Cannot start: {Reason}")]
    public static partial void CannotStart(ILogger logger, string reason);

    [LoggerMessage(2, LogLevel.Warning, "{Resource}: ending process {ProcessId}, left running by an AppHost that was killed")]
    public static partial void EndingLeftover(ILogger logger, string resource, int processId);

    [LoggerMessage(3, LogLevel.Information, "{Resource}: waiting for {Dependencies}")]
    public static partial void Waiting(ILogger logger, string resource, string dependencies);

    [LoggerMessage(4, LogLevel.Information, "{Resource}: started, pid {ProcessId}{Address}")]
    public static partial void Started(ILogger logger, string resource, int processId, string address);

    [LoggerMessage(5, LogLevel.Information, "{Resource}: healthy after {Milliseconds} ms")]
    public static partial void Healthy(ILogger logger, string resource, long milliseconds);

    [LoggerMessage(6, LogLevel.Warning, "{Resource}: not healthy: {Reason}")]
    public static partial void Unhealthy(ILogger logger, string resource, string reason);

    [LoggerMessage(7, LogLevel.Error, "{Resource} DIED: {Exit} after {Seconds:F1} s; its last lines are above and in {LogFile}. "
        + "Starting it again in {Delay:F0} s")]
    public static partial void Died(ILogger logger, string resource, string exit, double seconds, string logFile, double delay);

    [LoggerMessage(8, LogLevel.Error, "{Resource}: cannot be started: {Reason} Trying again in {Delay:F0} s")]
    public static partial void StartFailed(ILogger logger, string resource, string reason, double delay);

    [LoggerMessage(9, LogLevel.Information, "{Resource}: finished")]
    public static partial void Finished(ILogger logger, string resource);

    [LoggerMessage(10, LogLevel.Error, "{Resource} FAILED: {Reason}")]
    public static partial void Failed(ILogger logger, string resource, string reason);

    [LoggerMessage(11, LogLevel.Information, "{Resource}: stopped")]
    public static partial void Stopped(ILogger logger, string resource);

    [LoggerMessage(12, LogLevel.Warning, "{Resource}: did not stop within {Seconds:F0} s and was killed")]
    public static partial void Killed(ILogger logger, string resource, double seconds);

    [LoggerMessage(13, LogLevel.Information, "Local processes, state in {Directory}. Ctrl+C stops everything")]
    public static partial void Starting(ILogger logger, string directory);

    [LoggerMessage(14, LogLevel.Information, "All resources are running and healthy after {Seconds:F1} s")]
    public static partial void AllHealthy(ILogger logger, double seconds);

    [LoggerMessage(15, LogLevel.Information, "Everything is stopped")]
    public static partial void AllStopped(ILogger logger);
}
