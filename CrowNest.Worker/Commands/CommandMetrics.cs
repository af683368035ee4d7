using System.Diagnostics.Metrics;

namespace CrowNest.Worker.Commands;

/// <summary>Figures of commands.</summary>
internal static class CommandMetrics
{
    /// <summary>Tag <c>state</c>: the final one.</summary>
    public static readonly Histogram<double> Duration = WorkerTelemetry.Meter.CreateHistogram<double>(
        "crownest.command.duration", "ms", "From the request to the final row.");

    /// <summary>What the platform adds: from the request until the process runs.</summary>
    public static readonly Histogram<double> StartDuration = WorkerTelemetry.Meter.CreateHistogram<double>(
        "crownest.command.start.duration", "ms", "From the request until the agent has executed the shell.");

    public static readonly Histogram<double> StreamLag = WorkerTelemetry.Meter.CreateHistogram<double>(
        "crownest.stream.lag", "s", "From reading output from the agent until followers can have it.");

    public static readonly Counter<long> OutputBytes = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.command.output", "By", "Bytes of output taken over from agents.");

    /// <summary>Tag <c>outcome</c>: <c>stored</c> or <c>failed</c>.</summary>
    public static readonly Counter<long> LogUploads = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.command.log_uploads", "{upload}", "Attempts to store a finished command's log.");
}
