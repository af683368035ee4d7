using System.Diagnostics.Metrics;
using CrowNest.Worker.Templates;

namespace CrowNest.Worker.Sandboxes;

/// <summary>What the node has right now, as figures.</summary>
internal sealed class SandboxFigures
{
    public SandboxFigures(LiveSandboxes live, NodeCapacity capacity, WarmPool pool, TemplateImages templates)
    {
        WorkerTelemetry.Meter.CreateObservableGauge("crownest.sandbox.running", () => live.Count, "{sandbox}", "Sandboxes that callers have.");
        WorkerTelemetry.Meter.CreateObservableGauge("crownest.sandbox.capacity", () => capacity.Limit, "{sandbox}", "Sandboxes the node takes.");
        WorkerTelemetry.Meter.CreateObservableGauge("crownest.pool.stock", () => Stock(pool, templates), "{sandbox}", "Warm sandboxes.");
    }

    private static IEnumerable<Measurement<int>> Stock(WarmPool pool, TemplateImages templates)
    {
        var byVersion = pool.CountByVersion();
        return templates.Latest.Select(image => new Measurement<int>(
            byVersion.GetValueOrDefault(image.VersionId), new KeyValuePair<string, object?>("template", image.Slug)));
    }
}
