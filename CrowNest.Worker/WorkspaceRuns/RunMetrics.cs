using System.Diagnostics.Metrics;

namespace CrowNest.Worker.WorkspaceRuns;

/// <summary>Figures of workspace runs.</summary>
internal static class RunMetrics
{
    /// <summary>Tags <c>status</c>, and <c>reason</c> of a failed one.</summary>
    public static readonly Histogram<double> Duration = WorkerTelemetry.Meter.CreateHistogram<double>(
        "crownest.run.duration", "ms", "From the start of a workspace run until it was final.");

    /// <summary>Tag <c>stage</c>: <c>sandbox</c>, <c>extract</c>, <c>command</c>, <c>collect</c>, <c>evidence</c>, <c>cleanup</c>.</summary>
    public static readonly Histogram<double> StageDuration = WorkerTelemetry.Meter.CreateHistogram<double>(
        "crownest.run.stage.duration", "ms", "Time that one stage of a workspace run took in this process.");

    public static readonly Counter<long> ExtractedBytes = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.run.extracted", "By", "Bytes that archives of workspace runs gave.");

    public static readonly Counter<long> OutputBytes = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.run.output", "By", "Bytes of output that became events of workspace runs.");

    /// <summary>Tag <c>from</c>: <c>job</c> or <c>database</c>.</summary>
    public static readonly Counter<long> Claimed = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.run.claimed", "{run}", "Workspace runs that this node took on, those of its former process included.");
}
