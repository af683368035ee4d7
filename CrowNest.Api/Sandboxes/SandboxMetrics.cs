using System.Diagnostics.Metrics;

namespace CrowNest.Api.Sandboxes;

internal static class SandboxMetrics
{
    private static readonly Histogram<double> CreateDuration =
        ApiTelemetry.Meter.CreateHistogram<double>("crownest.api.sandbox.create.duration", "s", "From the accepted create to ready.");

    public static void Created(TimeSpan duration, bool warm) =>
        CreateDuration.Record(duration.TotalSeconds, new KeyValuePair<string, object?>("warm", warm));
}
