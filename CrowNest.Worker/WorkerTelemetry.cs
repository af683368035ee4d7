using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace CrowNest.Worker;

/// <summary>Activities and figures of the node.</summary>
internal static class WorkerTelemetry
{
    public const string ServiceName = "CrowNest.Worker";

    public static readonly ActivitySource Activities = new(ServiceName);
    public static readonly Meter Meter = new(ServiceName);

    /// <summary>From the request to <c>ready</c>; tag <c>start</c>: <c>warm</c> or <c>cold</c>.</summary>
    public static readonly Histogram<double> SandboxStart = Meter.CreateHistogram<double>(
        "crownest.sandbox.start.duration", "ms", "From the request to a sandbox that is ready.");

    /// <summary>Tag <c>reason</c>.</summary>
    public static readonly Counter<long> SandboxesEnded = Meter.CreateCounter<long>(
        "crownest.sandbox.ended", "{sandbox}", "Sandboxes that were destroyed or failed.");

    public static readonly Counter<long> WarmDiscarded = Meter.CreateCounter<long>(
        "crownest.pool.discarded", "{sandbox}", "Warm sandboxes whose agent did not answer.");
}
