using System.Diagnostics.Metrics;

namespace CrowNest.Worker.Artifacts;

/// <summary>Figures of exports and imports.</summary>
internal static class ArtifactMetrics
{
    /// <summary>Tag <c>outcome</c>: <c>stored</c>, or the code of the failure.</summary>
    public static readonly Histogram<double> ExportDuration = WorkerTelemetry.Meter.CreateHistogram<double>(
        "crownest.artifact.export.duration", "ms", "From the request until an artifact is stored.");

    public static readonly Counter<long> ExportBytes = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.artifact.export.bytes", "By", "Bytes stored as artifacts.");

    /// <summary>Tag <c>outcome</c>: <c>written</c>, or the code of the failure.</summary>
    public static readonly Histogram<double> ImportDuration = WorkerTelemetry.Meter.CreateHistogram<double>(
        "crownest.artifact.import.duration", "ms", "From the request until an object is a file of a sandbox.");

    public static readonly Counter<long> ImportBytes = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.artifact.import.bytes", "By", "Bytes written into sandboxes from objects.");

    /// <summary>Tag <c>status</c>: one of docs/reference/api.md 5.4.</summary>
    public static readonly Counter<long> Collections = WorkerTelemetry.Meter.CreateCounter<long>(
        "crownest.command.collections", "{collection}", "Finished collections of commands.");

    public static KeyValuePair<string, object?> Outcome(string outcome) => new("outcome", outcome);
}
